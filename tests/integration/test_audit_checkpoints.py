"""The log vouches for itself outside its database: when checkpoints come, by which keys, and after what goes wrong."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import CHECKPOINTS
from services.audit import checkpointing
from services.audit.keys import parse_keys
from services.audit.note import checkpoint_of, notes_in, vouched
from services.audit.outside import checkpoint_file, keys_file
from services.audit.signing import new_block
from services.audit.store import entries
from services.cli.stack.entry import jubao_argv
from services.runtime.broker import Place, Reader
from services.runtime.clock import SetClock
from services.runtime.database import Connection
from services.runtime.files import replace_file
from services.runtime.process import Worker
from services.runtime.settings import Settings
from tests.integration.consuming import until
from tests.integration.log_writing import (
    fetch,
    grown_to,
    refused_with,
    send,
    settings,
    size,
    vouched_sizes,
    writing,
)

__all__ = ["settings"]


async def test_what_is_logged_is_vouched_for_outside(settings: Settings) -> None:
    """Checkpoints come while the log grows and at its stop, alike in file, topic and table, with the tree's roots."""
    async with writing(settings):
        for wanted in (300, 500):
            await send(settings, 300 if wanted == 300 else 200)
            await grown_to(settings, wanted)
            await asyncio.sleep(1)
    sizes = await vouched_sizes(settings)
    assert sizes[-1] == 500
    assert 300 in sizes
    table = await fetch(settings, "SELECT size, note FROM audit.checkpoints ORDER BY number")
    assert [row["size"] for row in table] == sizes
    on_topic = await published(settings)
    assert set(on_topic) >= {row["note"] for row in table}


async def test_a_log_that_grows_while_it_is_signed_is_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint is of the log as it was at one moment, also where an append commits while it is looked through."""
    read_head, grown = entries.head, 0

    async def head_before_growth(connection: Connection) -> entries.Head:
        nonlocal grown
        head = await read_head(connection)
        if grown < 3 and head.size:
            grown += 1
            await send(settings, 2)
            await grown_to(settings, head.size + 2)
        return head

    monkeypatch.setattr(entries, "head", head_before_growth)
    async with writing(settings) as writer:
        await send(settings, 3)
        await until(lambda: _signed_for(settings, 9))
        assert writer.health().healthy, writer.health().detail
    assert (await vouched_sizes(settings))[-1] == 9


async def _signed_for(settings: Settings, wanted: int) -> bool:
    return (await fetch(settings, "SELECT max(size) FROM audit.checkpoints"))[0][0] == wanted


async def test_a_quiet_log_makes_no_checkpoints(settings: Settings) -> None:
    """Without new entries nothing is signed again, over restarts either."""
    await send(settings, 3)
    async with writing(settings):
        await grown_to(settings, 3)
        await asyncio.sleep(1)
    before = await vouched_sizes(settings)
    async with writing(settings):
        await asyncio.sleep(3)
    assert await vouched_sizes(settings) == before


async def published(settings: Settings) -> list[str]:
    place = Place(CHECKPOINTS.name, 0)
    notes: list[str] = []
    async with Reader(settings) as reader:
        end = (await reader.ends([place]))[place]
        reader.read_from({place: 0})
        while await reader.position(place) < end:
            notes += [json.loads(record.value)["data"]["note"] for record in await reader.next_records(1_000)]
    return notes


async def test_a_stop_while_starting_leaves_nothing_unvouched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk is with the keys, what is logged by the time of a stop is under a checkpoint after it."""

    def slowly(*arguments: Any, **options: Any) -> None:
        # Longer than a consumer takes to get its partitions and append.
        time.sleep(4)
        replace_file(*arguments, **options)

    monkeypatch.setattr(checkpointing, "replace_file", slowly)
    await send(settings, 20)
    async with writing(settings):
        await grown_to(settings, 20)
    assert await vouched_sizes(settings) == [20]


async def test_keys_overlap_and_give_way(settings: Settings) -> None:
    """While two keys are in the file both sign; once one is dropped its time is over, and what it signed counts."""
    pem = settings.data / "audit.pem"
    first, second = pem.read_bytes(), new_block()
    lines: list[int] = []
    for keys in (first, first + second, second):
        pem.write_bytes(keys)
        await send(settings, 2)
        async with writing(settings):
            await grown_to(settings, 2 * (len(lines) + 1))
        lines.append(len(notes_in(checkpoint_file(settings).read_text())[-1].signatures))
    assert lines == [2, 4, 2]
    await vouched_sizes(settings)
    dated = parse_keys(keys_file(settings).read_text())
    assert [key.until is None for key in dated] == [False, False, True, True]


async def test_a_log_keeps_its_name(settings: Settings) -> None:
    """The name that the first checkpoint gave the log is its name for good; another one is refused."""
    named = settings.model_copy(update={"log_origin": "log.test/one"})
    async with writing(named):
        await send(named, 1)
        await grown_to(named, 1)
    assert checkpoint_of(notes_in(checkpoint_file(named).read_text())[-1].text).origin == "log.test/one"
    async with writing(named.model_copy(update={"log_origin": "log.test/two"})) as writer:
        await refused_with(writer, "the log in this database is named log.test/one")


async def test_time_in_checkpoints_does_not_run_back(settings: Settings) -> None:
    """With the clock set back an hour, checkpoints go on, none with an earlier time than the one before."""
    clock = SetClock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    for step in range(3):
        async with writing(settings, clock):
            await send(settings, 1)
            await grown_to(settings, step + 1)
        clock.advance(timedelta(hours=-1) if step == 0 else timedelta(minutes=5))
    keys = [dated.key for dated in parse_keys(keys_file(settings).read_text())]
    times = [at for note in notes_in(checkpoint_file(settings).read_text()) for _, at in vouched(note, keys) if at]
    assert len(times) == 3
    assert times == sorted(times)


async def test_a_file_that_cannot_be_written_is_an_alarm(settings: Settings) -> None:
    """Where a checkpoint cannot be put outside, the writer says so, and catches up once it can."""
    blocked = settings.data / "blocked"
    blocked.write_text("no directory")
    inside = settings.model_copy(update={"checkpoint_file": blocked / "checkpoints"})
    async with writing(inside) as writer:
        await send(settings, 2)
        await refused_with(writer, "checkpoints cannot be published")
        blocked.unlink()
        await until(lambda: _healthy(writer))
    assert notes_in((blocked / "checkpoints").read_text())


async def _healthy(writer: Worker) -> bool:
    return writer.health().healthy


async def test_killed_in_mid_append_it_goes_on_without_a_gap(settings: Settings) -> None:
    """Killed again and again while it appends, the writer leaves no gap, no second entry and no fork."""
    total = 6_000
    await send(settings, total)
    environment = {
        **os.environ,
        "JUBAO_DATABASE": settings.database.get_secret_value(),
        "JUBAO_KAFKA": settings.kafka,
        "JUBAO_DATA": str(settings.data),
        "JUBAO_AUDIT_KEY_FILE": str(settings.audit_key_file),
        "JUBAO_CHECKPOINT_SECONDS": "0.2",
        "JUBAO_BATCH_RECORDS": "200",
        "JUBAO_SESSION_TIMEOUT_SECONDS": "6",
        "JUBAO_PREFLIGHT": "false",
        "JUBAO_HEALTH": "",
    }
    for cut in (200, 2_000):
        child = subprocess.Popen(  # noqa: ASYNC220 -- our own program
            jubao_argv("serve", "audit.consume"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await grown_to(settings, cut)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    async with writing(settings):
        await grown_to(settings, total)
    sizes = await vouched_sizes(settings)
    assert sizes[-1] == await size(settings) == total
    notes = await fetch(settings, "SELECT count(*), count(DISTINCT identity) FROM audit.entries")
    assert tuple(notes[0]) == (total, total)


def test_a_cut_off_note_does_not_spoil_the_next(tmp_path: Path) -> None:
    """What a crash left of a note at the file's end is passed by, and the notes around it are read."""
    from services.audit.note import split_notes  # noqa: PLC0415 -- next to what it says
    from services.audit.outside import Outside  # noqa: PLC0415

    made = Settings.model_validate({"data": tmp_path})
    outside = Outside(made, None)  # type: ignore[arg-type] # nothing is sent
    whole = "origin\n1\nAAAA\n\n— origin AAAAAAA=\n"
    outside._append(whole)
    file = checkpoint_file(made)
    file.write_text(file.read_text() + whole[:20])
    outside._append(whole)
    parts: Sequence[str] = split_notes(file.read_text())
    assert parts.count(whole) == 2
    assert len(parts) == 3
