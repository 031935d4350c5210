"""Erasures and legal holds; private parts may be deleted, of reports that are erased and of no others."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = """
-- Legal holds. Nothing of what one is on is ordered to be erased while it stands.
CREATE TABLE holds (
    hold_id uuid PRIMARY KEY,
    content_id text CHECK (content_id <> ''),
    report_id uuid,
    source_id text CHECK (source_id <> ''),
    ground text NOT NULL CHECK (ground <> ''),
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    lifted_by text,
    lifted_at timestamptz,
    CHECK (num_nonnulls(content_id, report_id, source_id) = 1),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);

-- What somebody, or retention, wants erased. The log is looked through for its reports in steps: `next_index` is where
-- the next begins. The reporter is forgotten with the last step.
CREATE TABLE erasures (
    erasure_id uuid PRIMARY KEY,
    basis text NOT NULL CHECK (basis IN ('reporter', 'content', 'reports', 'retention')),
    reporter text,
    content_id text,
    ground text NOT NULL CHECK (ground <> ''),
    ordered_by text NOT NULL,
    ordered_at timestamptz NOT NULL,
    next_index bigint NOT NULL DEFAULT 0,
    found_at timestamptz,
    parts integer NOT NULL DEFAULT 0 CHECK (parts >= 0),
    told_at timestamptz,
    CHECK ((basis = 'content') = (content_id IS NOT NULL)),
    CHECK ((reporter IS NOT NULL) = (basis = 'reporter' AND found_at IS NULL)),
    CHECK (told_at IS NULL OR found_at IS NOT NULL)
);
CREATE INDEX erasures_open ON erasures (ordered_at) WHERE told_at IS NULL;

-- The reports of an erasure: in which part they were told to the services, or which hold stopped that.
CREATE TABLE erasure_reports (
    erasure_id uuid NOT NULL REFERENCES erasures,
    report_id uuid NOT NULL,
    part integer CHECK (part >= 1),
    hold_id uuid REFERENCES holds,
    PRIMARY KEY (erasure_id, report_id),
    CHECK (part IS NULL OR hold_id IS NULL)
);
CREATE INDEX erasure_reports_held ON erasure_reports (hold_id) WHERE hold_id IS NOT NULL;

-- Which reports are erased, since when, by which erasure: what comes in about them later is not kept either. An order
-- may be older than this database, which was then restored, so its erasure need not be here.
CREATE TABLE erased (
    report_id uuid PRIMARY KEY,
    erasure_id uuid NOT NULL,
    at timestamptz NOT NULL
);

-- Up to where in the log retention has seen to the outcomes of a class.
CREATE TABLE retentions (
    class text PRIMARY KEY CHECK (class IN ('P0', 'P1', 'P2', 'P3', 'P4')),
    next_index bigint NOT NULL CHECK (next_index >= 0)
);
"""

_GUARD = """
-- A private part goes only if its report is erased, or, of a decision, a report of its case.
CREATE FUNCTION private_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM entries AS e JOIN erased AS x ON x.report_id = e.report_id WHERE e.index = OLD.index
    ) AND NOT EXISTS (
        SELECT FROM entries AS d JOIN entries AS e ON e.case_id = d.case_id
        JOIN erased AS x ON x.report_id = e.report_id
        WHERE d.index = OLD.index AND d.type = 'jubao.decision.made.v1'
    ) THEN
        RAISE EXCEPTION 'the private part of entry % stays: its report is not erased', OLD.index
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER private_stays BEFORE DELETE ON private FOR EACH ROW EXECUTE FUNCTION private_stays();

GRANT DELETE ON private TO jubao_audit;
REVOKE DELETE, TRUNCATE, REFERENCES, TRIGGER ON holds, erasures, erasure_reports, retentions FROM PUBLIC, jubao_audit;
REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON erased FROM PUBLIC, jubao_audit;
"""


def upgrade() -> None:
    """Makes the tables, and lets the log's role delete private parts of what is erased."""
    op.execute(_TABLES)
    op.execute(_GUARD)


def downgrade() -> None:
    """There is no way back: it would forget what was erased, and let it in again."""
    raise RuntimeError("the log's tables are not removed by a migration; restore a backup instead")
