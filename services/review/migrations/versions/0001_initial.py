"""The tables of review: cases, their reports and reporters, the ready queue, leases, decisions, history.

Every index is argued for, because each is paid for at every report or every change of a case.
"""

from alembic import op

from services.runtime.migrate import runtime_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# One row a case. What it keeps of its reports are earliests, leasts and bests (services/review/joining.py).
# fillfactor leaves room on the page, so that a plain join, which changes no indexed column, is a HOT update.
_CASES = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind = 'report'),
    content_id text NOT NULL,
    -- queued -> claimed (claim); claimed -> queued (release, lease ended); claimed -> decided (decision)
    state text NOT NULL CHECK (state IN ('queued', 'claimed', 'decided')),
    class smallint NOT NULL CHECK (class BETWEEN 0 AND 4),
    queue text NOT NULL,
    rank_from timestamptz NOT NULL,
    target_seconds integer NOT NULL CHECK (target_seconds > 0),
    due_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    fence integer NOT NULL DEFAULT 0 CHECK (fence >= 0),
    last_event uuid NOT NULL,
    report_count integer NOT NULL CHECK (report_count >= 1),
    reporter_count integer NOT NULL CHECK (reporter_count BETWEEN 1 AND report_count),
    -- per class, P0 first: the earliest reception and the least target of its reports
    first_at timestamptz[] NOT NULL CHECK (cardinality(first_at) = 5),
    targets integer[] NOT NULL CHECK (cardinality(targets) = 5),
    -- the report whose ruling and queue the case carries; its class is the case's
    lead_received_at timestamptz NOT NULL,
    lead_report_id uuid NOT NULL,
    ruling text NOT NULL,
    -- the report whose description of the content the case carries
    teller_hearsay boolean NOT NULL,
    teller_received_at timestamptz NOT NULL,
    teller_report_id uuid NOT NULL,
    content text NOT NULL,
    snapshots text[] NOT NULL CHECK (cardinality(snapshots) <= 64),
    previous_case_id uuid REFERENCES cases,
    -- the traceparent of the report that opened it, which the case's own events continue
    trace bytea,
    decided_at timestamptz,
    CHECK ((state = 'decided') = (decided_at IS NOT NULL)),
    CHECK (first_at[class + 1] IS NOT NULL AND targets[class + 1] IS NOT NULL),
    CHECK (state = 'queued' OR fence >= 1)
) WITH (fillfactor = 80)
"""

# One open case per item and kind: the invariant, and the way from a content id to its open case at every batch.
_CASES_OPEN = "CREATE UNIQUE INDEX cases_open ON cases (content_id, kind) WHERE state <> 'decided'"

# The last decision on an item: asked for every item of a batch that has no open case.
_CASES_DECIDED = "CREATE INDEX cases_decided ON cases (content_id, decided_at) WHERE state = 'decided'"

# The list of cases by state and class, newest first, in pages; one entry a state change.
_CASES_BY_STATE = "CREATE INDEX cases_by_state ON cases (state, class, opened_at, case_id)"

# One row a report id that ever joined a case. `data` is the report as it came, shown to reviewers and never looked into
# by SQL, hence text. No foreign key index beyond the one below, which is also the order in which reports are shown.
_REPORTS = """
CREATE TABLE reports (
    report_id uuid PRIMARY KEY,
    case_id uuid NOT NULL REFERENCES cases,
    event_id uuid NOT NULL,
    digest text NOT NULL CHECK (length(digest) = 64),
    attested boolean NOT NULL,
    lane text NOT NULL CHECK (lane IN ('flagged', 'public')),
    class smallint NOT NULL CHECK (class BETWEEN 0 AND 4),
    received_at timestamptz NOT NULL,
    source_kind text NOT NULL,
    source_id text,
    reporter bytea NOT NULL CHECK (octet_length(reporter) = 16),
    data text NOT NULL,
    -- came after its case was decided, and was answered by itself
    late boolean NOT NULL,
    CHECK (class > 0 OR attested)
)
"""

# The reports of a case in order of reception: the first hundred of a claim, all of a decision.
_REPORTS_OF_CASE = "CREATE INDEX reports_of_case ON reports (case_id, received_at, report_id)"

# A reporter counts once per case; also the conflict-of-interest check of a claim.
_CASE_REPORTERS = """
CREATE TABLE case_reporters (
    case_id uuid NOT NULL REFERENCES cases,
    reporter bytea NOT NULL CHECK (octet_length(reporter) = 16),
    PRIMARY KEY (case_id, reporter)
)
"""

# One narrow row a queued case. It is emptied as fast as it is filled, so its dead rows are what a claim would stumble
# over: vacuum comes early and pauses for nothing.
_READY = """
CREATE TABLE ready (
    case_id uuid PRIMARY KEY REFERENCES cases,
    queue text NOT NULL,
    class smallint NOT NULL CHECK (class BETWEEN 0 AND 4),
    target_seconds integer NOT NULL CHECK (target_seconds > 0),
    rank_from timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
)
"""

# The order of a claim: the head of each queue, class and target is one step into this index.
_READY_BY_RANK = "CREATE INDEX ready_by_rank ON ready (queue, class, target_seconds, rank_from, case_id)"

# The longest overdue below P0: each tenth claim, and the overload alarm.
_READY_BY_DUE = "CREATE INDEX ready_by_due ON ready (queue, due_at, case_id) WHERE class > 0"

# Which queue, class and target there are, so that a claim steps from head to head and never scans what waits.
_HEADS = """
CREATE TABLE heads (
    queue text NOT NULL,
    class smallint NOT NULL CHECK (class BETWEEN 0 AND 4),
    target_seconds integer NOT NULL CHECK (target_seconds > 0),
    PRIMARY KEY (queue, class, target_seconds)
)
"""

# One live lease per case; expired ones stay until the sweep or the next claim puts their case back.
_LEASES = """
CREATE TABLE leases (
    case_id uuid PRIMARY KEY REFERENCES cases,
    token uuid NOT NULL UNIQUE,
    fence integer NOT NULL CHECK (fence >= 1),
    reviewer text NOT NULL,
    claimed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > claimed_at),
    ends_by timestamptz CHECK (expires_at <= ends_by),
    claimed_event uuid NOT NULL
)
"""

# What ends next: looked at by every claim and by the sweep. The table is as small as there are reviewers at work.
_LEASES_BY_END = "CREATE INDEX leases_by_end ON leases (expires_at)"

# A reviewer's own leases come first in every claim.
_LEASES_BY_REVIEWER = "CREATE INDEX leases_by_reviewer ON leases (reviewer, claimed_at)"

# Every change of state, class or lease: who, when, why. Versions of plain joins are missing here, they are events only.
_HISTORY = """
CREATE TABLE history (
    case_id uuid NOT NULL REFERENCES cases,
    version integer NOT NULL CHECK (version >= 1),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    change text NOT NULL
        CHECK (change IN ('opened', 'lifted', 'claimed', 'renewed', 'released', 'expired', 'decided')),
    from_state text CHECK (from_state IN ('queued', 'claimed')),
    to_state text NOT NULL CHECK (to_state IN ('queued', 'claimed', 'decided')),
    class smallint NOT NULL CHECK (class BETWEEN 0 AND 4),
    queue text NOT NULL,
    why text NOT NULL,
    fence integer,
    expires_at timestamptz,
    report_id uuid,
    event_id uuid NOT NULL,
    PRIMARY KEY (case_id, version),
    CHECK ((from_state IS NULL) = (change = 'opened')),
    CHECK (change NOT IN ('claimed', 'renewed') OR (fence IS NOT NULL AND expires_at IS NOT NULL))
)
"""

# The last hour and the last day of history, for waits and for the overload alarm. History is only appended, so time
# follows place and a block-range index of a few kilobytes is enough.
_HISTORY_BY_TIME = "CREATE INDEX history_by_time ON history USING brin (at) WITH (pages_per_range = 32, autosummarize)"

# One decision per case and per lease token.
_DECISIONS = """
CREATE TABLE decisions (
    decision_id uuid PRIMARY KEY,
    case_id uuid NOT NULL UNIQUE REFERENCES cases,
    lease uuid NOT NULL UNIQUE,
    fence integer NOT NULL CHECK (fence >= 1),
    verdict text NOT NULL CHECK (verdict IN ('illegal', 'against_terms', 'no_violation')),
    violates text,
    actions text[] NOT NULL,
    reason text NOT NULL,
    reviewer text NOT NULL,
    decided_at timestamptz NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- how it is published: caused by which claim, in how many parts, how many of them are out, up to which report
    cause_id uuid NOT NULL,
    parts integer NOT NULL CHECK (parts >= 1),
    published integer NOT NULL CHECK (published BETWEEN 1 AND parts),
    published_received_at timestamptz NOT NULL,
    published_report_id uuid NOT NULL,
    CHECK ((verdict = 'no_violation') = (violates IS NULL AND cardinality(actions) = 0)),
    CHECK (verdict = 'no_violation' OR (violates IS NOT NULL AND cardinality(actions) > 0))
)
"""

# Decisions on hot items whose later parts are still to be published; hardly ever holds a row.
_DECISIONS_UNPUBLISHED = "CREATE INDEX decisions_unpublished ON decisions (decided_at) WHERE published < parts"

# When each alarm was last raised, so that it is raised once an hour however many processes look.
_ALARMS = "CREATE TABLE alarms (code text PRIMARY KEY, raised_at timestamptz NOT NULL)"

# Counts the claims below P0, of which each tenth goes to the longest overdue.
_TURNS = "CREATE SEQUENCE claims_below_p0"


def upgrade() -> None:
    """Makes the tables."""
    op.execute(runtime_tables())
    for statement in (
        _CASES, _CASES_OPEN, _CASES_DECIDED, _CASES_BY_STATE, _REPORTS, _REPORTS_OF_CASE, _CASE_REPORTERS,
        _READY, _READY_BY_RANK, _READY_BY_DUE, _HEADS, _LEASES, _LEASES_BY_END, _LEASES_BY_REVIEWER,
        _HISTORY, _HISTORY_BY_TIME, _DECISIONS, _DECISIONS_UNPUBLISHED, _ALARMS, _TURNS,
    ):  # fmt: skip
        op.execute(statement)
