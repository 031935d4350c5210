"""A log that is not what was vouched for is not written to, and nothing of it is signed."""

import asyncio

import pytest

from services.audit.note import checkpoint_of, notes_in
from services.audit.outside import checkpoint_file, keys_file
from services.audit.signing import new_block
from services.audit.tiles import Edge
from services.audit.tree import leaf_hash
from services.runtime.metrics import LOG_REFUSED
from services.runtime.settings import Settings
from tests.integration.log_writing import (
    fetch,
    grown_to,
    refused_with,
    send,
    settings,
    size,
    tamper,
    until_vouched,
    vouched_sizes,
    writing,
)

__all__ = ["settings"]


async def test_a_database_set_back_is_not_written_to(settings: Settings) -> None:
    """A database that was put back to an earlier state is refused with a sentence; put right, it is written to."""
    await send(settings, 400)
    async with writing(settings):
        await grown_to(settings, 400)
    kept = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
    edge, _ = Edge().extended([leaf_hash(row["leaf"]) for row in kept[:300]])
    now_root = (await fetch(settings, "SELECT root FROM audit.head"))[0]["root"]
    await tamper(
        settings,
        "CREATE TABLE saved AS SELECT * FROM entries WHERE index >= 300",
        "CREATE TABLE saved_checkpoints AS SELECT * FROM checkpoints",
        "DELETE FROM entries WHERE index >= 300",
        "DELETE FROM checkpoints",
        f"UPDATE head SET size = 300, root = '\\x{edge.root().hex()}'",
    )
    await send(settings, 10)
    async with writing(settings) as writer:
        await refused_with(writer, "was set back")
        assert "checkpoint of 400 was published" in writer.health().detail
        assert LOG_REFUSED._value.get() == 1
        await asyncio.sleep(2)
        assert await size(settings) == 300
        await tamper(
            settings,
            "INSERT INTO entries SELECT * FROM saved",
            f"UPDATE head SET size = 400, root = '\\x{now_root.hex()}'",
        )
        await grown_to(settings, 410)
        assert LOG_REFUSED._value.get() == 0
    assert (await vouched_sizes(settings))[-1] == 410


REWRITE = "UPDATE entries SET leaf = replace(encode(leaf, 'escape'), 'one_click', 'mentioned')::bytea WHERE index = 5"


async def test_a_rewritten_log_is_not_written_to(settings: Settings) -> None:
    """Entries changed with all hashes computed anew fit together, and not with what was published."""
    await send(settings, 300)
    async with writing(settings):
        await grown_to(settings, 300)
    await tamper(settings, REWRITE)
    rows = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
    edge, tiles = Edge().extended([leaf_hash(row["leaf"]) for row in rows])
    await tamper(
        settings,
        *(
            f"UPDATE tiles SET hashes = '\\x{tile.hashes.hex()}', root = '\\x{tile.root.hex()}' "
            f"WHERE level = {tile.level} AND number = {tile.number}"
            for tile in tiles
        ),
        f"UPDATE head SET root = '\\x{edge.root().hex()}'",
    )
    await send(settings, 5)
    async with writing(settings) as writer:
        await refused_with(writer, "the log was changed")
        assert await size(settings) == 300


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM entries WHERE index = 299", "its last one has index 298"),
        ("DELETE FROM entries WHERE index = 280", "44 should be there and 43 are"),
        ("DELETE FROM tiles", "1 full tiles, but the last has number None"),
        ("UPDATE head SET root = sha256('x')", "not the one that was kept"),
        (REWRITE.replace("index = 5", "index = 290"), "does not"),
        ("DELETE FROM head", "it has 0 entries, but its last one has index 299"),
    ],
)
async def test_a_torn_log_is_not_written_to(settings: Settings, statement: str, words: str) -> None:
    """Entries, tiles and head that do not fit one another stop the writer, and it says which."""
    await send(settings, 300)
    async with writing(settings):
        await grown_to(settings, 300)
    # Without what was published the log has only itself to be judged by.
    checkpoint_file(settings).unlink()
    (settings.data / "audit.pem").write_bytes(new_block())
    keys_file(settings).unlink()
    await tamper(settings, statement)
    async with writing(settings) as writer:
        await refused_with(writer, "does not hold together")
        assert words in writer.health().detail


async def test_a_log_touched_while_it_is_written_stops_the_writer(settings: Settings) -> None:
    """Entries that vanish under a running writer are noticed at the next append, before anything is added."""
    await send(settings, 300)
    async with writing(settings) as writer:
        await grown_to(settings, 300)
        await until_vouched(settings, 300)
        rows = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
        edge, _ = Edge().extended([leaf_hash(row["leaf"]) for row in rows[:290]])
        await tamper(
            settings,
            "DELETE FROM entries WHERE index >= 290",
            f"UPDATE head SET size = 290, root = '\\x{edge.root().hex()}'",
        )
        await send(settings, 3)
        await refused_with(writer, "was set back")
        assert await size(settings) == 290


FOREIGN = """
    INSERT INTO entries
    SELECT 300, gen_random_uuid(), NULL, type, at, actor, report_id, case_id, content_id, source_id, leaf
    FROM entries WHERE index = 7
"""


async def test_a_foreign_entry_lets_no_record_die(settings: Settings) -> None:
    """Where the next entry's place is taken by another hand the writer stops, and once it is free it logs all."""
    await send(settings, 300)
    async with writing(settings) as writer:
        await grown_to(settings, 300)
        await tamper(settings, FOREIGN)
        await send(settings, 5)
        await refused_with(writer, "its last one has index 300")
        assert await size(settings) == 300
        await tamper(settings, "DELETE FROM entries WHERE index = 300")
        await grown_to(settings, 305)
    assert await fetch(settings, "SELECT 1 FROM audit.dead") == []
    await vouched_sizes(settings)


async def test_what_was_not_written_here_is_not_signed(settings: Settings) -> None:
    """An entry altered with the log's root, before a checkpoint covers it, is not vouched for by the next one."""
    slow = settings.model_copy(update={"checkpoint_seconds": 3.0})
    await send(settings, 290)
    async with writing(slow) as writer:
        await grown_to(settings, 290)
        await until_vouched(settings, 290)
        await send(settings, 10)
        await grown_to(settings, 300)
        rows = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
        leaves = [row["leaf"] for row in rows]
        leaves[299] = leaves[299].replace(b"one_click", b"one_clack")
        edge, _ = Edge().extended([leaf_hash(leaf) for leaf in leaves])
        await tamper(
            settings,
            f"UPDATE entries SET leaf = '\\x{leaves[299].hex()}' WHERE index = 299",
            f"UPDATE head SET root = '\\x{edge.root().hex()}'",
        )
        await refused_with(writer, "is not the one that was written")
        text = checkpoint_file(settings).read_text()
        assert edge.root() not in [checkpoint_of(note.text).root for note in notes_in(text)]
