"""Whoever owns the database alters the log in it, in every way there is: what was published outside shows each.

An alteration is made by a superuser past all triggers, the log is exported as it stands then, and verified with the
checkpoints and keys from before; then it is undone. Beside it a plain chain of hashes in the same database is checked.
The slow test draws others with `JUBAO_TAMPER_SEED=7 pytest -m slow`, and `JUBAO_TAMPER_EXAMPLES=600` more of each kind.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from random import Random
from uuid import NAMESPACE_OID, uuid4, uuid5

import asyncpg
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.audit.evidence import evidence_of
from services.audit.examining import examined
from services.audit.exporting import export_lines
from services.audit.findings import Kind, Problem
from services.audit.keys import DatedKey
from services.audit.leaf import Leaf, commitment
from services.audit.note import Checkpoint, Note, Signer
from services.audit.store import checkpoints, tree
from services.audit.tiles import TILE_BYTES, WIDTH, Edge
from services.audit.tree import HASH_BYTES, Frontier, leaf_hash
from services.audit.verifying import Verdict, Verifier
from services.runtime.migrate import upgrade
from services.runtime.process import Process
from services.runtime.settings import Settings

SEED = int(os.environ.get("JUBAO_TAMPER_SEED") or 1_000)
EXAMPLES = int(os.environ.get("JUBAO_TAMPER_EXAMPLES") or 300)
SIZE = 6 * WIDTH + 77
# Entries before this have their hashes in tiles.
TILED = SIZE // WIDTH * WIDTH
CUTS = (100, 256, 600, 1_000, 1_300, TILED, SIZE)
BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ORIGIN = "log.test/jubao"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"l" * 32))
FORGER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"f" * 32))
KEYS = [DatedKey(key, BEGIN, None) for key in (SIGNER.key, SIGNER.cokey)]


def part_of(number: int) -> tuple[bytes, bytes]:
    """The salt of an entry's private part, and the part."""
    return sha256(b"%d" % number).digest(), b'{"text":"part %d"}' % number


def body(number: int, what: str = "joined") -> bytes:
    return orjson.dumps(
        {
            "actor": "review",
            "commitment": commitment(*part_of(number)),
            "detail": {"why": what},
            "id": str(uuid5(NAMESPACE_OID, str(number))),
            "offset": number // 3,
            "partition": number % 3,
            "time": (BEGIN + timedelta(milliseconds=number)).replace(tzinfo=None).isoformat(timespec="milliseconds")
            + "Z",
            "topic": "cases.v1",
            "type": "jubao.case.joined.v1",
            "v": 1,
        },
        option=orjson.OPT_SORT_KEYS,
    )


BODIES = [body(number) for number in range(SIZE)]


def entry(number: int) -> Leaf:
    salt, part = part_of(number)
    return Leaf(
        identity=uuid5(NAMESPACE_OID, str(number)), event_id=None, type="jubao.case.joined.v1",
        at=BEGIN + timedelta(milliseconds=number), actor="review", report_id=None, case_id=None, content_id=None,
        source_id=None, body=BODIES[number], salt=salt, part=part,
    )  # fmt: skip


def signed(leaves: Sequence[bytes], by: Signer = SIGNER) -> str:
    """The checkpoint over some leaves, as it is published."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
    made = Checkpoint(ORIGIN, len(leaves), frontier.root()).text
    return str(Note(made, (by.sign(made), by.cosign(made, int(BEGIN.timestamp()) + 10))))


OUTSIDE = [signed(BODIES[:cut]) for cut in CUTS]


@pytest.fixture(scope="module")
async def owner(postgres_dsn: str) -> AsyncIterator[AsyncEngine]:
    """The database with a log in it, as its owner has it: with all rights, and past all triggers."""
    address = f"{postgres_dsn.rpartition('/')[0]}/audit_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {address.rpartition('/')[2]}")
    await connection.close()
    settings = Settings.model_validate({"database": address, "kafka": "127.0.0.1:1"})
    await upgrade(settings)
    process = Process(settings)
    async with process.database("audit").begin() as writing:
        await tree.append(writing, [entry(number) for number in range(SIZE)])
        for cut, note in zip(CUTS, OUTSIDE, strict=True):
            await checkpoints.keep(writing, cut, BEGIN, note)
    await process.close()
    engine = create_async_engine(address.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE audit.chain (index bigint PRIMARY KEY, leaf bytea, link bytea)"))
        await chained(connection, BODIES)
    yield engine
    await engine.dispose()


async def chained(connection: AsyncConnection, leaves: Sequence[bytes]) -> None:
    """Writes the plain chain anew: each link is the hash of the one before it and the entry."""
    await connection.execute(text("DELETE FROM audit.chain"))
    link, rows = b"", []
    for index, leaf in enumerate(leaves):
        link = sha256(link + leaf).digest()
        rows.append({"index": index, "leaf": leaf, "link": link})
    if rows:
        await connection.execute(text("INSERT INTO audit.chain VALUES (:index, :leaf, :link)"), rows)


async def chain_holds(connection: AsyncConnection) -> bool:
    """What the plain chain can tell by itself."""
    before = b""
    rows = await connection.execute(text("SELECT index, leaf, link FROM audit.chain ORDER BY index"))
    for place, (index, leaf, link) in enumerate(rows):
        before = sha256(before + leaf).digest()
        if (index, before) != (place, link):
            return False
    return True


@dataclass
class Hand:
    """The owner's hand in one transaction; `theirs` are checkpoints that another reader was given."""

    connection: AsyncConnection
    chance: Random
    theirs: list[str] = field(default_factory=list)

    async def do(self, statement: str, **values: object) -> None:
        await self.connection.execute(text(statement), values)

    def any(self, end: int = SIZE, start: int = 0) -> int:
        return self.chance.randrange(start, end)

    async def leaf(self, index: int, leaf: bytes) -> None:
        await self.do("UPDATE entries SET leaf = :leaf WHERE index = :index", index=index, leaf=leaf)

    async def kept(self, index: int, value: bytes) -> None:
        await self.do(
            "UPDATE tiles SET hashes = overlay(hashes PLACING :value FROM :at) WHERE level = 0 AND number = :number",
            value=value, at=index % WIDTH * HASH_BYTES + 1, number=index // WIDTH,
        )  # fmt: skip

    async def leaves(self) -> list[bytes]:
        return list(await self.connection.scalars(text("SELECT leaf FROM entries ORDER BY index")))

    async def rebuild(self) -> None:
        """Makes tiles and head fit the entries that are there."""
        leaves = await self.leaves()
        edge, tiles = Edge().extended([leaf_hash(leaf) for leaf in leaves])
        await self.do("DELETE FROM tiles")
        for tile in tiles:
            assert len(tile.hashes) == TILE_BYTES
            await self.do("INSERT INTO tiles VALUES (:level, :number, :hashes, :root)", **tile._asdict())
        await self.do("UPDATE head SET size = :size, root = :root", size=edge.size, root=edge.root())


def flipped(hand: Hand, value: bytes) -> bytes:
    changed = bytearray(value)
    changed[hand.any(len(value))] ^= 1 << hand.any(8)
    return bytes(changed)


# What must be among the problems: a kind, and an entry that it covers.
Expected = list[tuple[Kind, int]]
Alteration = Callable[[Hand], Awaitable[Expected]]


async def flip_leaf(hand: Hand) -> Expected:
    at = hand.any()
    await hand.leaf(at, flipped(hand, BODIES[at]))
    return [(Kind.ALTERED if at < TILED else Kind.FORKED, at)]


async def flip_hash(hand: Hand) -> Expected:
    at = hand.any(TILED)
    await hand.kept(at, flipped(hand, leaf_hash(BODIES[at])))
    return [(Kind.ALTERED, at)]


async def flip_both(hand: Hand) -> Expected:
    at = hand.any(TILED)
    leaf = flipped(hand, BODIES[at])
    await hand.leaf(at, leaf)
    await hand.kept(at, leaf_hash(leaf))
    return [(Kind.FORKED, at)]


async def delete(hand: Hand) -> Expected:
    at = hand.any()
    await hand.do("DELETE FROM entries WHERE index = :at", at=at)
    # The last ones are missing as a tail is.
    return [(Kind.MISSING if at < SIZE - 1 else Kind.CUT, at)]


async def delete_and_close_up(hand: Hand) -> Expected:
    at = hand.any(TILED - 3)
    await hand.do("DELETE FROM entries WHERE index = :at", at=at)
    await hand.do("UPDATE entries SET index = index + 1000000 WHERE index > :at", at=at)
    await hand.do("UPDATE entries SET index = index - 1000001 WHERE index > 1000000")
    await hand.do("UPDATE head SET size = size - 1")
    return [(Kind.MISSING, at)]


async def insert(hand: Hand) -> Expected:
    at = hand.any(TILED - 3, 1)
    await hand.do("UPDATE entries SET index = index + 1000000 WHERE index >= :at", at=at)
    await hand.do("UPDATE entries SET index = index - 999999 WHERE index >= 1000000")
    await hand.do(
        "INSERT INTO entries (index, identity, type, at, actor, leaf) "
        "VALUES (:at, gen_random_uuid(), 't', now(), 'a', :leaf)",
        at=at, leaf=body(hand.any(99_999, 50_000)),
    )  # fmt: skip
    await hand.do("UPDATE head SET size = size + 1")
    return [(Kind.INSERTED, at)]


async def insert_and_rebuild(hand: Hand) -> Expected:
    ((_, at),) = await insert(hand)
    await hand.rebuild()
    return [(Kind.FORKED, at)]


async def delete_and_rebuild(hand: Hand) -> Expected:
    ((_, at),) = await delete_and_close_up(hand)
    await hand.rebuild()
    return [(Kind.FORKED, at)]


async def swap(hand: Hand) -> Expected:
    one, other = hand.chance.sample(range(TILED), 2)
    await hand.leaf(one, BODIES[other])
    await hand.leaf(other, BODIES[one])
    return [(Kind.REORDERED, one), (Kind.REORDERED, other)]


async def swap_neighbours(hand: Hand) -> Expected:
    one = hand.any(TILED - 1)
    await hand.leaf(one, BODIES[one + 1])
    await hand.leaf(one + 1, BODIES[one])
    return [(Kind.REORDERED, one), (Kind.REORDERED, one + 1)]


async def cut_tail(hand: Hand) -> Expected:
    size = hand.any()
    await hand.do("DELETE FROM entries WHERE index >= :size", size=size)
    await hand.rebuild()
    return [(Kind.CUT, size)]


async def rewrite(hand: Hand) -> Expected:
    since = hand.chance.choice([0, hand.any()])
    await hand.do(
        "UPDATE entries SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'joined', 'lifted'), 'UTF8') "
        "WHERE index >= :since",
        since=since,
    )
    await hand.rebuild()
    return [(Kind.FORKED, since)]


async def restore_backup(hand: Hand) -> Expected:
    expected = await cut_tail(hand)
    await hand.do("DELETE FROM checkpoints WHERE size > (SELECT size FROM head)")
    return [*expected, (Kind.DROPPED, SIZE)]


async def restore_backup_and_go_on(hand: Hand) -> Expected:
    expected = await rewrite(hand)
    await hand.do("DELETE FROM checkpoints WHERE size > :since", since=expected[0][1])
    await hand.do("INSERT INTO checkpoints (size, made_at, note) VALUES (:size, now(), :note)",
                  size=SIZE, note=signed(await hand.leaves()))  # fmt: skip
    return expected


async def roll_back_the_tree(hand: Hand) -> Expected:
    size = hand.any()
    edge, _ = Edge().extended([leaf_hash(leaf) for leaf in BODIES[:size]])
    await hand.do("UPDATE head SET size = :size, root = :root", size=size, root=edge.root())
    await hand.do("DELETE FROM tiles WHERE (number + 1) * 256 > :size AND level = 0", size=size)
    return [(Kind.CUT, size)]


async def forge_a_checkpoint(hand: Hand) -> Expected:
    ((kind, since),) = await rewrite(hand)
    await hand.do("INSERT INTO checkpoints (size, made_at, note) VALUES (:size, now(), :note)",
                  size=SIZE, note=signed(await hand.leaves(), FORGER))  # fmt: skip
    return [(kind, since), (Kind.WRONG_KEY, SIZE)]


async def drop_a_checkpoint(hand: Hand) -> Expected:
    size = hand.chance.choice(CUTS)
    await hand.do("DELETE FROM checkpoints WHERE size = :size", size=size)
    return [(Kind.DROPPED, size)]


async def tell_two_histories(hand: Hand) -> Expected:
    size = hand.chance.choice(CUTS)
    at = hand.any(size)
    hand.theirs.append(signed([*BODIES[:at], body(at, "told otherwise"), *BODIES[at + 1 : size]]))
    return [(Kind.FORKED, max((cut for cut in CUTS if cut < size), default=0))]


async def change_a_column(hand: Hand) -> Expected:
    at = hand.any()
    column = hand.chance.choice(
        [
            "type = 'jubao.case.lifted.v1'", "actor = 'zhao'", "at = at + interval '1 millisecond'",
            "at = at + interval '1 microsecond'",
            "identity = gen_random_uuid()", "event_id = gen_random_uuid()", "report_id = gen_random_uuid()",
            "case_id = gen_random_uuid()", "content_id = 'v1'", "source_id = 's1'",
        ]
    )  # fmt: skip
    await hand.do(f"UPDATE entries SET {column} WHERE index = :at", at=at)
    return [(Kind.ALTERED, at)]


async def write_no_time(hand: Hand) -> Expected:
    at = hand.any(TILED)
    time = hand.chance.choice(
        [b"2026-11-23T08:00:00.000", b"now", "\u5341\u70b9".encode(), b"0001-01-01T00:00:00+14:00"]
    )
    leaf = orjson.loads(BODIES[at]) | {"time": time.decode(), "commitment": "\u5341"}
    await hand.leaf(at, orjson.dumps(leaf, option=orjson.OPT_SORT_KEYS))
    return [(Kind.ALTERED, at)]


async def hide_from_searches(hand: Hand) -> Expected:
    at = hand.any()
    where = hand.chance.choice(
        [
            "DELETE FROM doings WHERE span = :at >> 7", "UPDATE doings SET span = span + 10000 WHERE span = :at >> 7",
            "UPDATE doings SET actor = 'zhao' WHERE span = :at >> 7", "DELETE FROM minutes WHERE first_index <= :at",
            "UPDATE minutes SET last_index = :at - 1 WHERE last_index >= :at",
            "UPDATE minutes SET first_index = :at + 1 WHERE first_index <= :at",
        ]
    )  # fmt: skip
    await hand.do(where, at=at)
    return [(Kind.ALTERED, at)]


async def change_a_part(hand: Hand) -> Expected:
    at = hand.any()
    what = hand.chance.choice(["part = :value", "salt = :value"])
    await hand.do(f"UPDATE private SET {what} WHERE index = :at", at=at, value=sha256(b"%d" % hand.any()).digest())
    return [(Kind.ALTERED, at)]


async def lose_a_part(hand: Hand) -> Expected:
    at = hand.any()
    await hand.do("DELETE FROM private WHERE index = :at", at=at)
    return [(Kind.ALTERED, at)]


async def change_a_tile(hand: Hand) -> Expected:
    number = hand.any(TILED // WIDTH)
    what = hand.chance.choice(["root = :value", "hashes = :value", "level = 7", "number = number + 1000000"])
    await hand.do(
        f"UPDATE tiles SET {what} WHERE level = 0 AND number = :number",
        number=number, value=hand.chance.randbytes(HASH_BYTES * (WIDTH if what.startswith("hashes") else 1)),
    )  # fmt: skip
    return [(Kind.ALTERED, number * WIDTH + WIDTH - 1)]


ALTERATIONS: tuple[Alteration, ...] = (
    flip_leaf, flip_hash, flip_both, delete, delete_and_close_up, delete_and_rebuild, insert, insert_and_rebuild, swap,
    swap_neighbours, cut_tail, rewrite, restore_backup, restore_backup_and_go_on, roll_back_the_tree,
    forge_a_checkpoint, drop_a_checkpoint, tell_two_histories, change_a_column, hide_from_searches, change_a_part,
    lose_a_part, change_a_tile, write_no_time,
)  # fmt: skip


async def altered(owner: AsyncEngine, alteration: Alteration, seed: int) -> tuple[Verdict, Expected]:
    """The verdict on the log after an alteration, which is undone then, and what it must name."""
    async with owner.connect() as connection:
        await connection.execute(text("SET LOCAL search_path TO audit"))
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        hand = Hand(connection, Random(seed))
        expected = await alteration(hand)
        verdict = await verdict_on(connection, hand.theirs)
        await connection.rollback()
    return verdict, expected


async def verdict_on(connection: AsyncConnection, theirs: Sequence[str] = ()) -> Verdict:
    size = await connection.scalar(text("SELECT size FROM head"))
    served = "\n".join(await connection.scalars(text("SELECT note FROM checkpoints ORDER BY number")))
    evidence = evidence_of(["\n".join(OUTSIDE), *theirs], KEYS, served)
    verifier = Verifier(evidence)
    for start in range(0, size, 1_024):
        lines = await export_lines(connection, start, min(size, start + 1_024))
        verifier.take(examined(BytesIO(lines), len(lines), evidence.sizes()))
    return verifier.verdict()


def names(problem: Problem, kind: Kind, index: int) -> bool:
    return problem.kind is kind and problem.index <= index < max(problem.end or 0, problem.index + 1)


@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda alteration: alteration.__name__)
async def test_each_alteration_is_found(owner: AsyncEngine, alteration: Alteration) -> None:
    """Twenty of each kind, seeded: all are found, with the kind and the place."""
    await found(owner, alteration, range(20))


@pytest.mark.slow
@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda alteration: alteration.__name__)
async def test_each_of_thousands_of_alterations_is_found(owner: AsyncEngine, alteration: Alteration) -> None:
    """The same with 300 of each kind, more than 5,000 in all."""
    await found(owner, alteration, range(SEED, SEED + EXAMPLES))


async def found(owner: AsyncEngine, alteration: Alteration, seeds: range) -> None:
    for seed in seeds:
        verdict, expected = await altered(owner, alteration, seed)
        problems = verdict.problems.told()
        for kind, index in expected:
            assert any(names(problem, kind, index) for problem in problems), (seed, kind, index, problems[:5])
        assert not verdict.ok


async def test_the_log_as_it_was_written_holds(owner: AsyncEngine) -> None:
    """Before and between the alterations there is nothing to find."""
    async with owner.connect() as connection:
        await connection.execute(text("SET LOCAL search_path TO audit"))
        verdict = await verdict_on(connection)
        assert verdict.ok, verdict.told()
        assert verdict.covered == SIZE
        assert await chain_holds(connection)


async def test_a_plain_chain_misses_what_the_checkpoints_show(owner: AsyncEngine) -> None:
    """The control: it finds a flipped byte, and holds after the tail was cut and after all was rewritten."""
    for alteration, missed in ((flip_leaf, False), (cut_tail, True), (rewrite, True)):
        async with owner.connect() as connection:
            await connection.execute(text("SET LOCAL search_path TO audit"))
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            hand = Hand(connection, Random(7))
            await alteration(hand)
            if missed:
                # Who cuts or rewrites the log does the same to the chain, which has no key and no copy outside.
                await chained(connection, await hand.leaves())
            else:
                await hand.do("UPDATE chain SET leaf = entries.leaf FROM entries WHERE entries.index = chain.index")
            assert await chain_holds(connection) is missed
            assert not (await verdict_on(connection)).ok
            await connection.rollback()
