"""Sources, attesters, and what intake remembers of the reports it took."""

from alembic import op

from services.runtime.migrate import runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A public key belongs to one source for ever, also when it was revoked: a key that leaked must not come back.
SOURCES = """
CREATE TABLE sources (
    source_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('police', 'trusted_flagger', 'government')),
    name text NOT NULL,
    agency text,
    parent text,
    region text,
    categories text[] NOT NULL,
    quota_per_day integer CHECK (quota_per_day >= 0),
    time_zone text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    version integer NOT NULL CHECK (version >= 1)
);
CREATE TABLE source_keys (
    key_id text PRIMARY KEY,
    source_id uuid NOT NULL REFERENCES sources,
    public_key bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    added_at timestamptz NOT NULL,
    revoked_at timestamptz CHECK (revoked_at >= added_at)
);
CREATE INDEX source_keys_of_source ON source_keys (source_id);
"""

# Intake's own keys stand here too (verdicts), so that each is announced once; they share one name, others do not.
ATTESTERS = """
CREATE TABLE attesters (
    key_id text PRIMARY KEY,
    name text NOT NULL,
    public_key bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    kinds text[] NOT NULL CHECK (cardinality(kinds) > 0),
    verdicts boolean NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    added_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX attesters_by_name ON attesters (name) WHERE NOT verdicts;
"""

# What makes the same bytes again from the same body, and nothing of the body itself but its digest. source_id, kind
# and standing are those of the attestation; a report of the public lane has none. The index on the time is the
# sweep's: without it each sweep would read the whole table.
SUBMISSIONS = """
CREATE TABLE submissions (
    report_id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    caller text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    received_at timestamptz NOT NULL,
    source_id uuid REFERENCES sources,
    kind text,
    standing text,
    accepted_at timestamptz,
    CHECK (num_nulls(source_id, kind, standing) IN (0, 3))
);
CREATE INDEX submissions_by_time ON submissions (received_at);
"""

# A nonce or an Idempotency-Key that was used, and for which report: scope says whose (a key's, an account's).
REPEAT_KEYS = """
CREATE TABLE repeat_keys (
    scope text NOT NULL,
    key text NOT NULL,
    report_id uuid NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX repeat_keys_by_time ON repeat_keys (created_at);
"""

# How many reports a source sent on a day of its own time zone.
SOURCE_DAYS = """
CREATE TABLE source_days (
    source_id uuid NOT NULL REFERENCES sources,
    day date NOT NULL,
    used integer NOT NULL CHECK (used > 0),
    PRIMARY KEY (source_id, day)
);
"""


def upgrade() -> None:
    """Makes the tables; the schema and its role exist."""
    for statements in (runtime_tables(), SOURCES, ATTESTERS, SUBMISSIONS, REPEAT_KEYS, SOURCE_DAYS):
        op.execute(statements)


def downgrade() -> None:
    """There is no way back: it would remove the sources' keys."""
    raise RuntimeError("intake's tables are not removed by a migration; restore a backup instead")
