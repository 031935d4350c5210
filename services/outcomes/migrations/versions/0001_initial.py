"""Statements of reasons, outcomes of reports, and the keys by which sources prove that a report is theirs."""

from alembic import op

from services.runtime.migrate import runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
-- What was decided, once for all reports it answers. `reason` is the reviewer's own words: it is kept here for the
-- statement and for appeals, and goes into no event.
CREATE TABLE statements (
    decision_id uuid PRIMARY KEY,
    case_id uuid NOT NULL,
    content_id text NOT NULL,
    class text NOT NULL CHECK (class IN ('P0', 'P1', 'P2', 'P3', 'P4')),
    verdict text NOT NULL CHECK (verdict IN ('illegal', 'against_terms', 'no_violation')),
    violates text,
    actions text[] NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    decided_at timestamptz NOT NULL,
    CHECK ((verdict = 'no_violation') = (violates IS NULL)),
    CHECK ((verdict = 'no_violation') = (cardinality(actions) = 0))
);

-- The end of one report: a report has one outcome, the first it is given. The decision's part of it stands in its
-- statement, so that a hot item's hundred thousand reports do not repeat it.
CREATE TABLE outcomes (
    report_id uuid PRIMARY KEY,
    decision_id uuid NOT NULL REFERENCES statements,
    source_kind text NOT NULL,
    source_id text,
    received_at timestamptz NOT NULL,
    late boolean NOT NULL
);

-- The newest version of each source that was heard of, so that an older one coming again changes nothing.
CREATE TABLE sources (
    source_id uuid PRIMARY KEY,
    version bigint NOT NULL CHECK (version >= 1)
);

-- The public keys of sources, revoked ones too: their holders are told that, others that the key is unknown.
CREATE TABLE source_keys (
    key_id text PRIMARY KEY,
    source_id uuid NOT NULL REFERENCES sources,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    revoked_at timestamptz
);

-- A source's new version replaces its keys.
CREATE INDEX source_keys_by_source ON source_keys (source_id);
"""


def upgrade() -> None:
    """Makes the tables of outcomes."""
    op.execute(runtime_tables())
    op.execute(_TABLES)


def downgrade() -> None:
    """There is no way back: it would remove what reporters were told."""
    raise RuntimeError("outcomes' tables are not removed by a migration; restore a backup instead")
