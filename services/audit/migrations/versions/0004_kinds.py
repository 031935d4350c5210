"""The entries of an item, a case or a source by kind, so that a search by two things reads no more than a page."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = """
ALTER INDEX entries_by_case RENAME TO entries_by_case_once;
ALTER INDEX entries_by_content RENAME TO entries_by_content_once;
ALTER INDEX entries_by_source RENAME TO entries_by_source_once;

-- In each the entries of a kind, which is a type by an actor, stand together and in order. Which kinds there are is
-- soon found; then a type, an actor or both are a few stretches of the index, and no row is read to be left out.
-- Claims and decisions of a case, and the reports that joined it.
CREATE INDEX entries_by_case ON entries (case_id, type, actor, index) WHERE case_id IS NOT NULL;
-- What was ever reported and decided about this item?
CREATE INDEX entries_by_content ON entries (content_id, type, actor, index) WHERE content_id IS NOT NULL;
-- What did this agency do? Few entries have a source, so it and the two after it are small.
CREATE INDEX entries_by_source ON entries (source_id, type, actor, index) WHERE source_id IS NOT NULL;

-- What had this agency to do with this item, or with this case? Both may have tens of thousands of entries, and few in
-- common.
CREATE INDEX entries_by_source_and_content ON entries (source_id, content_id, index)
    WHERE source_id IS NOT NULL AND content_id IS NOT NULL;
CREATE INDEX entries_by_source_and_case ON entries (source_id, case_id, index)
    WHERE source_id IS NOT NULL AND case_id IS NOT NULL;

-- An index alone answers for pages of the table that a vacuum has seen. By default a fifth of the log may be without.
ALTER TABLE entries SET (autovacuum_vacuum_insert_scale_factor = 0.02);

-- Last, for until then the log can be read.
DROP INDEX entries_by_case_once, entries_by_content_once, entries_by_source_once;
"""


def upgrade() -> None:
    """Makes the indexes; nobody appends meanwhile."""
    op.execute(_INDEXES)


def downgrade() -> None:
    """There is no way back, as for the tables before."""
    raise RuntimeError("the log's tables are not removed by a migration; restore a backup instead")
