"""Entries that stay, their private parts beside them, the log's size, and where each minute lies in it."""

from alembic import op

from services.runtime.migrate import runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
-- The log. An entry is inserted once and never changed: its role may only insert and read, and a trigger stands in
-- the way of whoever may more. What a search shows of an entry is read out of its leaf; the columns are for finding it.
CREATE TABLE entries (
    index bigint PRIMARY KEY CHECK (index >= 0),
    identity uuid NOT NULL,
    event_id uuid CHECK (event_id <> identity),
    type text NOT NULL CHECK (type <> ''),
    at timestamptz NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    report_id uuid,
    case_id uuid,
    content_id text,
    source_id text,
    leaf bytea NOT NULL CHECK (length(leaf) > 2)
);

-- Beside the log, for erasure must reach it: what the leaf only commits to, and the salt of the commitment. There is no
-- foreign key, because checking it would lock, and so rewrite, every entry just inserted.
CREATE TABLE private (
    index bigint PRIMARY KEY,
    salt bytea NOT NULL CHECK (length(salt) = 32),
    part bytea NOT NULL CHECK (length(part) > 2)
);

-- One row: how many entries there are, which is the next one's index. Whoever appends holds it, so there is one order.
CREATE TABLE head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 0)
);
INSERT INTO head (size) VALUES (0);

-- From which index to which the entries of a minute (of the broker's time) lie. Entries come nearly in order of time,
-- so a search by time is a search by index between two bounds: one row a minute instead of one index row an entry.
CREATE TABLE minutes (
    minute timestamptz PRIMARY KEY CHECK (minute = date_trunc('minute', minute, 'UTC')),
    first_index bigint NOT NULL,
    last_index bigint NOT NULL CHECK (last_index >= first_index)
);
"""

_INDEXES = """
-- Each costs every entry some bytes of log and some work, so each has its reason. Pages are in order of index, which is
-- therefore the second column everywhere; absent ids are not indexed.

-- A second delivery is found by it before it could be a second entry; also finds events of our own services by id.
CREATE UNIQUE INDEX entries_by_identity ON entries (identity);
-- Finds the submitted event that others name as their cause: only there does the identity differ from the event's id.
CREATE INDEX entries_by_event ON entries (event_id, index) WHERE event_id IS NOT NULL;
-- The auditor's first question, and the first half of it: what became of this report?
CREATE INDEX entries_by_report ON entries (report_id, index) WHERE report_id IS NOT NULL;
-- The second half, claims and decisions, stands under the case.
CREATE INDEX entries_by_case ON entries (case_id, index) WHERE case_id IS NOT NULL;
-- What was ever reported and decided about this item?
CREATE INDEX entries_by_content ON entries (content_id, index) WHERE content_id IS NOT NULL;
-- What did this agency do? Few entries have a source, so it is the smallest of them.
CREATE INDEX entries_by_source ON entries (source_id, index) WHERE source_id IS NOT NULL;
-- What did this reviewer do? New rows of one actor go to one place, so it is nearly free to keep.
CREATE INDEX entries_by_actor ON entries (actor, index);
-- All alerts, all unreadable records, all policy changes: rare types among millions of common ones.
CREATE INDEX entries_by_type ON entries (type, index);
"""

_GUARD = """
CREATE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the log are never changed or removed (% on %)', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();

REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON entries FROM PUBLIC, jubao_audit;
REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON private FROM PUBLIC, jubao_audit;
REVOKE INSERT, DELETE, TRUNCATE ON head FROM PUBLIC, jubao_audit;
REVOKE DELETE, TRUNCATE ON minutes FROM PUBLIC, jubao_audit;
"""


def upgrade() -> None:
    """Makes the tables of the log and takes from its role every right to change what is in it."""
    op.execute(runtime_tables())
    for script in (_TABLES, _INDEXES, _GUARD):
        op.execute(script)


def downgrade() -> None:
    """There is no way back: it would remove the log."""
    raise RuntimeError("the log's tables are not removed by a migration; restore a backup instead")
