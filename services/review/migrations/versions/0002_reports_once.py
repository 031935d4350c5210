"""What a report costs, once: reporters are found among the reports, and columns that nothing reads are gone."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A reporter counts once per case, and no reviewer gets a case that they reported: both ask for one reporter of one
# case. With this index the reports themselves answer, and the table that said it a second time is not needed.
_REPORTS_OF_REPORTER = "CREATE INDEX reports_of_reporter ON reports (case_id, reporter)"

_NO_CASE_REPORTERS = "DROP TABLE case_reporters"

# Both were only ever written: lane and triaged event of a report are in the log.
_UNREAD = "ALTER TABLE reports DROP COLUMN lane, DROP COLUMN event_id"

# Bytes rather than their hexadecimal digits: half the room, in every row of the largest table.
_DIGEST = """
ALTER TABLE reports
    DROP CONSTRAINT reports_digest_check,
    ALTER COLUMN digest TYPE bytea USING decode(digest, 'hex'),
    ADD CONSTRAINT reports_digest_check CHECK (octet_length(digest) = 32)
"""

# A batch's events are packed before they come here; to try to compress them again costs more than all else they do.
_PACKED_ALREADY = "ALTER TABLE outbox ALTER COLUMN value SET STORAGE EXTERNAL"


def upgrade() -> None:
    """Rewrites the reports once, under the lock of their table: stop the consumers first where there are many."""
    for statement in (_UNREAD, _DIGEST, _REPORTS_OF_REPORTER, _NO_CASE_REPORTERS, _PACKED_ALREADY):
        op.execute(statement)
