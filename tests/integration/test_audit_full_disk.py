"""A disk that is full, under the database or under the file of checkpoints: an alarm, and no gap once there is room."""

import errno
import os
from pathlib import Path

import pytest

from services.audit.note import split_notes
from services.audit.outside import Outside, checkpoint_file
from services.runtime.settings import Settings
from tests.integration.consuming import until
from tests.integration.log_writing import (
    fetch,
    grown_to,
    send,
    settings,
    size,
    tamper,
    vouched_sizes,
    writing,
)

__all__ = ["settings"]

# What PostgreSQL answers where it cannot make a table longer.
FULL = """
    CREATE FUNCTION audit.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
    END $$
"""


async def test_a_full_disk_under_the_database_leaves_no_gap(settings: Settings) -> None:
    """While no entry can be kept the writer is unhealthy and drops none; with room again all follow, vouched for."""
    await tamper(settings, FULL)
    await send(settings, 5)
    async with writing(settings) as writer:
        await grown_to(settings, 5)
        await tamper(
            settings, "CREATE TRIGGER full_disk BEFORE INSERT ON audit.entries EXECUTE FUNCTION audit.full_disk()"
        )
        await send(settings, 7)

        async def alarmed() -> bool:
            return not writer.health().healthy

        await until(alarmed)
        assert await size(settings) == 5
        await tamper(settings, "DROP TRIGGER full_disk ON audit.entries")
        await grown_to(settings, 12)

        async def well() -> bool:
            return writer.health().healthy

        await until(well)
    assert (await vouched_sizes(settings))[-1] == 12
    ((entries, identities),) = await fetch(settings, "SELECT count(*), count(DISTINCT identity) FROM audit.entries")
    assert (entries, identities) == (12, 12)


def test_a_note_that_half_fits_on_the_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk takes of a note is not mistaken for the note, and the next one stands whole behind it."""
    made = Settings.model_validate({"data": tmp_path})
    outside = Outside(made, None)  # type: ignore[arg-type] # nothing is sent
    whole = "origin\n1\nAAAA\n\n— origin AAAAAAA=\n"
    write, room = os.write, [20]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            outside._append(whole)
    outside._append(whole)
    assert split_notes(checkpoint_file(made).read_text())[-1] == whole
