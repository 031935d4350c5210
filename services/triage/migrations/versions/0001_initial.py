"""The policies that were ever in force, and each source's place in its day."""

from alembic import op

from services.runtime.migrate import runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
-- Every policy by which anything was ever classed, whole: a ruling names policy and version, and this is what they say.
CREATE TABLE policies (
    policy text NOT NULL CHECK (policy <> ''),
    version text NOT NULL CHECK (version <> ''),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    text text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (policy, version)
);

-- How many reports a source with a quota has made on one day of its own calendar; the row is locked while the next
-- ones take their places.
CREATE TABLE quota_days (
    source_id uuid NOT NULL,
    day date NOT NULL,
    used int NOT NULL CHECK (used >= 0),
    PRIMARY KEY (source_id, day)
);

-- Which of its source's reports of the day a report is. It is kept so that a record that comes twice is ruled alike.
CREATE TABLE quota_places (
    source_id uuid NOT NULL,
    report_id uuid NOT NULL,
    day date NOT NULL,
    ordinal int NOT NULL CHECK (ordinal > 0),
    PRIMARY KEY (source_id, report_id)
);

-- Old days are forgotten by it, and no two reports have one place.
CREATE UNIQUE INDEX quota_places_by_day ON quota_places (day, source_id, ordinal);
"""


def upgrade() -> None:
    """Makes the tables."""
    op.execute(runtime_tables())
    op.execute(_TABLES)
