"""The tree over the entries that are there, checkpoints, and lighter ways to find entries."""

from alembic import op
from sqlalchemy import Connection, text

from services.audit.tiles import Edge
from services.audit.tree import leaf_hash

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Nobody appends while the tree is built over what is there.
_LOCK = "LOCK TABLE head, entries IN EXCLUSIVE MODE"

_TABLES = """
-- The tree (RFC 6962) in full tiles of 256 hashes; root is the hash over them, and a hash of the level above. Tiles at
-- the edge are not kept: they follow from the entries, and from the roots here.
CREATE TABLE tiles (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    number bigint NOT NULL CHECK (number >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) = 8192),
    root bytea NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, number)
);
-- Hashes do not compress.
ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- The root over all entries goes with their number; origin is the log's name in its checkpoints, fixed by the first.
ALTER TABLE head ADD COLUMN root bytea CHECK (length(root) = 32), ADD COLUMN origin text CHECK (origin <> '');

-- What was signed and told outside. Published there, it would be found missing here.
CREATE TABLE checkpoints (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    made_at timestamptz NOT NULL,
    note text NOT NULL CHECK (note <> '')
);

-- The public keys of the log and of its witnesses, and from when to when they sign.
CREATE TABLE keys (
    vkey text PRIMARY KEY CHECK (vkey <> ''),
    since timestamptz NOT NULL,
    until timestamptz CHECK (until >= since)
);

-- Who did what in which span of 128 entries: a search by actor or type reads these few rows in place of two indexes
-- over all entries, and a pair of both that never met is known at once.
CREATE TABLE doings (
    actor text NOT NULL,
    span bigint NOT NULL CHECK (span >= 0),
    type text NOT NULL,
    PRIMARY KEY (actor, span, type)
);
CREATE INDEX doings_by_type ON doings (type, span);
INSERT INTO doings SELECT DISTINCT actor, index >> 7, type FROM entries;
"""

_INDEXES = """
-- One index finds both: what is known of a second delivery's event, and the event that others name as their cause. Its
-- second column lets no identity in twice.
CREATE UNIQUE INDEX entries_by_event_id ON entries (coalesce(event_id, identity), identity);
DROP INDEX entries_by_identity, entries_by_event, entries_by_actor, entries_by_type;
"""

_GUARD = """
CREATE TRIGGER tiles_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON tiles
    FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TRIGGER checkpoints_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();

CREATE FUNCTION head_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR NEW.size < OLD.size
        OR (OLD.origin IS NOT NULL AND NEW.origin IS DISTINCT FROM OLD.origin) THEN
        RAISE EXCEPTION 'the log only grows, under one name (% on %)', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER head_grows BEFORE INSERT OR UPDATE OR DELETE ON head FOR EACH ROW EXECUTE FUNCTION head_grows();
CREATE TRIGGER head_stays BEFORE TRUNCATE ON head FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();

REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON tiles, checkpoints, doings FROM PUBLIC, jubao_audit;
REVOKE DELETE, TRUNCATE, REFERENCES, TRIGGER ON keys FROM PUBLIC, jubao_audit;
"""

_READ = text("SELECT leaf FROM entries WHERE index >= :start AND index < :end ORDER BY index")
_KEEP = text("INSERT INTO tiles VALUES (:level, :number, :hashes, :root)")
_SET = text("UPDATE head SET root = :root")
_CHUNK = 25_600


def upgrade() -> None:
    """Makes the tables, and the tree over all entries there are."""
    op.execute(_LOCK)
    op.execute(_TABLES)
    op.execute(_INDEXES)
    _build(op.get_bind())
    op.execute("ALTER TABLE head ALTER COLUMN root SET NOT NULL")
    op.execute(_GUARD)


def _build(connection: Connection) -> None:
    size = connection.scalar(text("SELECT size FROM head"))
    edge = Edge()
    while edge.size < size:
        bounds = {"start": edge.size, "end": min(size, edge.size + _CHUNK)}
        leaves = list(connection.scalars(_READ, bounds))
        if len(leaves) != bounds["end"] - bounds["start"]:
            raise RuntimeError(
                f"the log has a gap after entry {edge.size}: it is not what was written; restore a backup"
            )
        edge, tiles = edge.extended([leaf_hash(leaf) for leaf in leaves])
        for tile in tiles:
            connection.execute(_KEEP, tile._asdict())
    connection.execute(_SET, {"root": edge.root()})


def downgrade() -> None:
    """There is no way back: it would remove the tree."""
    raise RuntimeError("the log's tables are not removed by a migration; restore a backup instead")
