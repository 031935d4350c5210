"""Which reports are erased, and where a report lies that had to make room for an attested one of its id."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Reports that are erased. One that comes in later, or again, is taken in without what it says.
_ERASED = """
CREATE TABLE erased (
    report_id uuid PRIMARY KEY,
    erasure_id uuid NOT NULL
)
"""

# A report that made room for an attested one of its id has another id since; its erasure names the first.
_ASIDE = "ALTER TABLE reports ADD COLUMN aside_of uuid"
_FIND_ASIDE = """
UPDATE reports SET aside_of = CAST(data::json ->> 'report_id' AS uuid)
WHERE CAST(data::json ->> 'report_id' AS uuid) <> report_id
"""
_BY_ASIDE = "CREATE INDEX reports_by_aside ON reports (aside_of) WHERE aside_of IS NOT NULL"


def upgrade() -> None:
    """Reads each report once, to find those that made room."""
    for statement in (_ERASED, _ASIDE, _FIND_ASIDE, _BY_ASIDE):
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: it would let in again what was erased."""
    raise RuntimeError("review's tables are not removed by a migration; restore a backup instead")
