"""The log's tree in PostgreSQL: tiles, roots and proofs are those of the plain recursion, and HTTP answers them."""

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.audit.app import UNITS
from services.audit.keys import parse_keys
from services.audit.leaf import Leaf
from services.audit.note import Checkpoint, Note, Signer, checkpoint_of, note_of, notes_in, vouched
from services.audit.store import checkpoints, entries, tree
from services.audit.tiles import WIDTH, number_path, width_of
from services.audit.tree import Frontier, complete_root, consistency_holds, inclusion_holds, leaf_hash
from services.runtime.database import address
from services.runtime.issuer import LocalIssuer, Role
from services.runtime.process import Process
from tests.integration.audit_logs import fresh_process

# Enough for a full tile of level 1, and partial ones of three levels.
SIZE = WIDTH * WIDTH + 3 * WIDTH + 77
BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BODIES = [b'{"entry":%d}' % number for number in range(SIZE)]
HASHES = [leaf_hash(body) for body in BODIES]
ORIGIN = "log.test/jubao"


def entry(number: int) -> Leaf:
    """A short entry; three of them belong to one report."""
    return Leaf(
        identity=uuid5(NAMESPACE_OID, str(number)),
        event_id=None,
        type="jubao.case.joined.v1",
        at=BEGIN + timedelta(seconds=number),
        actor="review",
        report_id=report(number // 3),
        case_id=None,
        content_id=None,
        source_id=None,
        body=BODIES[number],
        salt=None,
        part=None,
    )


def report(number: int) -> UUID:
    return uuid5(NAMESPACE_OID, f"report {number}")


def root_of(size: int) -> bytes:
    frontier = Frontier()
    whole = size // WIDTH * WIDTH
    for start in range(0, whole, WIDTH):
        frontier.append_complete(8, complete_root(b"".join(HASHES[start : start + WIDTH])))
    for leaf in HASHES[whole:size]:
        frontier.append(leaf)
    return frontier.root()


@pytest.fixture(scope="module")
async def process(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A process with a log of three levels that was appended in uneven batches, and two checkpoints of it."""
    async with fresh_process(postgres_dsn, tmp_path_factory.mktemp("audit")) as made:
        database = made.database("audit")
        batches = Random(17)
        start = 0
        while start < SIZE:
            end = min(SIZE, start + batches.choice([1, 2, 255, 256, 257, 3_000, 9_000]))
            async with database.begin() as writing:
                await tree.append(writing, [entry(number) for number in range(start, end)])
            start = end
        signer = Signer(ORIGIN, Ed25519PrivateKey.generate())
        async with database.begin() as writing:
            await checkpoints.name(writing, ORIGIN)
            await checkpoints.change_keys(writing, [signer.key, signer.cokey], BEGIN)
            for size in (SIZE - 1_000, SIZE - 1):
                checkpoint = Checkpoint(ORIGIN, size, root_of(size))
                lines = (signer.sign(checkpoint.text), signer.cosign(checkpoint.text, int(BEGIN.timestamp())))
                await checkpoints.keep(writing, size, BEGIN, str(Note(checkpoint.text, lines)))
        yield made


@pytest.fixture(scope="module")
async def http(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    app = UNITS["http"](process).app
    assert app is not None
    issuer = LocalIssuer(
        process.settings.data / "issuer.pem", issuer=process.settings.issuer, audience=process.settings.audience
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {issuer.mint('ada', Role.AUDITOR)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://audit", headers=headers) as client:
        yield client


async def test_the_head_has_the_trees_root(process: Process) -> None:
    """However the batches fell, the head's root is that over all entries, and the log can be taken up from it."""
    async with process.database("audit").begin() as reading:
        head = await entries.head(reading)
        taken = await tree.taken_up(reading, head)
    assert head == (SIZE, root_of(SIZE))
    assert taken.edge.root() == head.root


async def test_kept_tiles_are_the_trees(process: Process) -> None:
    """Every full tile is kept, once, and each is what the recursion says."""
    async with process.database("audit").begin() as reading:
        rows = (await reading.execute(text("SELECT level, number, hashes, root FROM tiles ORDER BY 1, 2"))).all()
    assert [(row.level, row.number) for row in rows] == [*((0, n) for n in range(SIZE // WIDTH)), (1, 0)]
    for row in rows:
        assert row.root == complete_root(row.hashes)
        if row.level == 0:
            assert row.hashes == b"".join(HASHES[row.number * WIDTH : (row.number + 1) * WIDTH])


async def test_roots_and_proofs_of_every_small_size(process: Process) -> None:
    """For every size up to some hundred, root and proofs are those of that size, though the log has grown since."""
    async with process.database("audit").begin() as reading:
        for size in [*range(1, 70), *range(250, 262), 511, 512, 513]:
            root = root_of(size)
            assert await tree.root(reading, size) == root
            indexes = sorted({0, size // 2, size - 1})
            for index, path in zip(indexes, await tree.inclusions(reading, indexes, size), strict=True):
                assert inclusion_holds(HASHES[index], index, size, path, root)
            for old in {1, size // 2, size - 1, size} - {0}:
                path = await tree.consistency(reading, old, size)
                assert consistency_holds(old, size, path, root_of(old), root)


async def test_proofs_of_random_places_in_a_large_log(process: Process) -> None:
    """Proofs over three levels of tiles hold at any two sizes and any index."""
    drawn = Random(29)
    async with process.database("audit").begin() as reading:
        for _ in range(12):
            size = drawn.randint(WIDTH, SIZE)
            old, index = drawn.randint(1, size), drawn.randrange(size)
            root = root_of(size)
            path = await tree.inclusion(reading, index, size)
            assert inclusion_holds(HASHES[index], index, size, path, root)
            assert consistency_holds(old, size, await tree.consistency(reading, old, size), root_of(old), root)


async def test_proofs_over_http(http: httpx.AsyncClient) -> None:
    """What HTTP answers proves inclusion in the newest checkpoint and its consistency with the one before."""
    checkpoint = checkpoint_of(note_of((await http.get("/v1/checkpoint")).text).text)
    assert checkpoint.size == SIZE - 1
    said = (await http.get("/v1/entries/4711/proof")).json()
    path = [b64decode(part) for part in said["path"]]
    assert (said["index"], said["size"]) == (4_711, SIZE - 1)
    assert b64decode(said["leaf_hash"]) == HASHES[4_711]
    assert inclusion_holds(HASHES[4_711], 4_711, checkpoint.size, path, checkpoint.root)
    said = (await http.get("/v1/consistency", params={"from": SIZE - 1_000})).json()
    path = [b64decode(part) for part in said["path"]]
    roots = b64decode(said["from_root"]), b64decode(said["to_root"])
    assert roots == (root_of(SIZE - 1_000), checkpoint.root)
    assert consistency_holds(SIZE - 1_000, SIZE - 1, path, *roots)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (f"/v1/entries/{SIZE - 1}/proof", 404),
        (f"/v1/entries/{SIZE - 1}/proof?size={SIZE}", 200),
        (f"/v1/entries/0/proof?size={SIZE + 1}", 422),
        ("/v1/entries/5/proof?size=5", 404),
        ("/v1/entries/-1/proof", 422),
        ("/v1/entries/0/proof?size=0", 422),
        ("/v1/entries/9999999999999999999999/proof", 422),
        ("/v1/consistency", 422),
        (f"/v1/consistency?from={SIZE}", 422),
        (f"/v1/consistency?from={SIZE}&to={SIZE}", 200),
        ("/v1/consistency?from=0&to=0", 200),
        (f"/v1/export?to={SIZE + 1}", 422),
        (f"/v1/receipts/{uuid4()}", 404),
        ("/v1/receipts/17", 422),
        ("/tiles/tile/0/000", 200),
        ("/tiles/tile/0/00", 404),
        ("/tiles/tile/0/999", 404),
        ("/tiles/tile/2/000.p/1", 200),
        ("/tiles/tile/2/000.p/2", 404),
        ("/tiles/tile/3/000.p/1", 404),
        ("/tiles/tile/x/000", 404),
        ("/tiles/tile/entries/999", 404),
        ("/tiles/tile/entries/nothing", 404),
    ],
)
async def test_what_there_is_and_what_not(http: httpx.AsyncClient, call: str, status: int) -> None:
    """A place beyond the tree is 404, a tree beyond the log 422, each with a problem that says so."""
    answer = await http.get(call)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_receipt_stands_alone(http: httpx.AsyncClient) -> None:
    """A receipt's entries are proved by its own checkpoint, signed by its own keys; the newest entry is pending."""
    last = (SIZE - 1) // 3
    for number in (40, last):
        receipt = (await http.get(f"/v1/receipts/{report(number)}")).json()
        note = note_of(receipt["checkpoint"])
        assert vouched(note, [dated.key for dated in parse_keys(receipt["keys"])])
        checkpoint = checkpoint_of(note.text)
        indexes = [n for n in range(number * 3, min(number * 3 + 3, SIZE)) if n < checkpoint.size]
        assert [said["index"] for said in receipt["entries"]] == indexes
        for said in receipt["entries"]:
            leaf = b64decode(said["leaf"])
            path = [b64decode(part) for part in said["path"]]
            assert leaf == BODIES[said["index"]]
            assert inclusion_holds(leaf_hash(leaf), said["index"], checkpoint.size, path, checkpoint.root)
        assert receipt["pending"] == (1 if number == last else 0)


async def test_the_export_is_every_entry_that_is_signed(http: httpx.AsyncClient) -> None:
    """The export has a line for each entry under the newest checkpoint, in order, and a part of it where asked."""
    async with http.stream("GET", "/v1/export") as answer:
        lines = [json.loads(line) async for line in answer.aiter_lines()]
    assert [line["index"] for line in lines] == list(range(SIZE - 1))
    assert [b64decode(line["leaf"]) for line in lines] == BODIES[:-1]
    part = (await http.get("/v1/export", params={"from": 7, "to": 9})).text
    hashes = [b64encode(HASHES[number]).decode() for number in (7, 8)]
    assert part == (
        f'{{"index":7,"leaf":"eyJlbnRyeSI6N30=","hash":"{hashes[0]}"}}\n'
        f'{{"index":8,"leaf":"eyJlbnRyeSI6OH0=","hash":"{hashes[1]}"}}\n'
    )


async def test_all_checkpoints_and_keys_are_told(http: httpx.AsyncClient) -> None:
    """Every checkpoint stands in the answer, in order, and each is signed by the keys that are told."""
    keys = [dated.key for dated in parse_keys((await http.get("/v1/keys")).text)]
    notes = notes_in((await http.get("/v1/checkpoints")).text)
    assert [checkpoint_of(note.text).size for note in notes] == [SIZE - 1_000, SIZE - 1]
    assert all(len(vouched(note, keys)) == 2 for note in notes)


async def test_a_client_of_tiles_reads_the_log(http: httpx.AsyncClient) -> None:
    """From checkpoint, hash tiles and entry bundles alone, the whole log is read and comes to the signed root."""
    note = await http.get("/tiles/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    checkpoint = checkpoint_of(note_of(note.text).text)
    found: list[bytes] = []
    for number in range(-(-checkpoint.size // WIDTH)):
        width = width_of(0, number, checkpoint.size)
        suffix = number_path(number) + ("" if width == WIDTH else f".p/{width}")
        bundle = await http.get(f"/tiles/tile/entries/{suffix}")
        hashes = await http.get(f"/tiles/tile/0/{suffix}", headers={"Authorization": ""})
        assert bundle.headers["content-type"] == hashes.headers["content-type"] == "application/octet-stream"
        assert "immutable" in hashes.headers["cache-control"]
        read = list(unbundled(bundle.content))
        assert hashes.content == b"".join(leaf_hash(body) for body in read)
        found += read
    assert found == BODIES[: checkpoint.size]
    upper = (await http.get("/tiles/tile/1/000")).content
    assert upper == b"".join(complete_root(b"".join(HASHES[n * WIDTH : (n + 1) * WIDTH])) for n in range(WIDTH))
    assert (await http.get("/tiles/tile/2/000.p/1")).content == complete_root(upper)


async def test_entries_are_for_auditors_and_hashes_for_all(http: httpx.AsyncClient) -> None:
    """Without a token hashes and the checkpoint are read, and no entry, proof or export."""
    nobody = {"Authorization": ""}
    for path in ("/tiles/checkpoint", "/tiles/tile/0/000"):
        assert (await http.get(path, headers=nobody)).status_code == 200
    for path in ("/tiles/tile/entries/000", "/v1/export", "/v1/checkpoint", "/v1/entries/0/proof", "/v1/keys"):
        assert (await http.get(path, headers=nobody)).status_code == 401


def unbundled(content: bytes) -> list[bytes]:
    bodies = []
    while content:
        length = int.from_bytes(content[:2], "big")
        bodies.append(content[2 : 2 + length])
        content = content[2 + length :]
    return bodies


async def test_proofs_hold_in_whichever_checkpoint_is_the_newest(process: Process, http: httpx.AsyncClient) -> None:
    """Proofs hold in the newest checkpoint, again and again, in one of before, and in another once that is newer."""
    indexes = [0, 255, 256, 4_711, 65_535, 65_536, 65_791, SIZE - 2]
    database = process.database("audit")
    async with database.begin() as reading:
        made = await checkpoints.after(reading, 0, 10)
    for size, asked in [(SIZE - 1, None), (SIZE - 1_000, SIZE - 1_000), (SIZE - 1, SIZE - 1), (SIZE, None)] * 2:
        if size == SIZE:
            async with database.begin() as writing:
                await checkpoints.keep(writing, SIZE, BEGIN, made[-1].note.replace(str(SIZE - 1), str(SIZE)))
        for index in filter(size.__gt__, indexes):
            params = {} if asked is None else {"size": asked}
            said = (await http.get(f"/v1/entries/{index}/proof", params=params)).json()
            path, root = [b64decode(part) for part in said["path"]], b64decode(said["root"])
            assert (said["size"], root) == (size, root_of(size))
            assert inclusion_holds(HASHES[index], index, size, path, root)
        async with database.begin() as writing:
            await checkpoints.keep(writing, made[-1].size, BEGIN, made[-1].note)


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ("root = sha256(root) WHERE level = 1", {WIDTH**2 - 1}),
        ("hashes = overlay(hashes PLACING sha256(root) FROM 33) WHERE level = 1", {WIDTH**2 - 1}),
        ("root = sha256(root) WHERE level = 0 AND number = 255", {WIDTH**2 - 1}),
        ("root = sha256(root) WHERE level = 0 AND number = 3", {4 * WIDTH - 1, WIDTH**2 - 1}),
        ("number = 1 WHERE level = 1", {WIDTH**2 - 1}),
        ("number = number WHERE level = 1", set()),
    ],
)
async def test_a_tile_that_does_not_fit_is_found_where_it_ends(process: Process, change: str, places: set[int]) -> None:
    """Of a log looked at in ranges each tile above the entries is held against those below, once."""
    engine = create_async_engine(address(process.settings))
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL search_path TO audit"))
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text(f"UPDATE tiles SET {change}"))
        ranges = [(start, min(SIZE, start + 1_000)) for start in range(0, SIZE, 1_000)]
        found = [place for start, end in ranges for place in await tree.torn_at(connection, start, end)]
        await connection.rollback()
    await engine.dispose()
    assert len(found) == len(places)
    assert set(found) == places
