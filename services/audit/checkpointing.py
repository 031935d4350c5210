"""Vouching for the log: its head is signed, cosigned, and published outside the database."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, perf_counter
from typing import Final

from services.audit.keys import written_keys
from services.audit.note import Checkpoint, Key, Note, Signer, checkpoint_of, note_of
from services.audit.outside import Outside, keys_file
from services.audit.standing import LogRefused, Standing, unusable
from services.audit.store import checkpoints, entries, tree
from services.audit.witnesses import Cosigners, Witness
from services.runtime import metrics
from services.runtime.database import DatabaseError
from services.runtime.files import PUBLIC, replace_file
from services.runtime.logs import logger
from services.runtime.problems import Unavailable
from services.runtime.process import Process

log = logger(__name__)

_LOOK_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 8.0


@dataclass(slots=True)
class _Made:
    """A checkpoint, and where it is already."""

    checkpoint: Checkpoint
    note: Note
    at: datetime
    filing: "asyncio.Future[None] | None" = None
    on_topic: bool = False


class Checkpoints:
    """Makes a checkpoint whenever there are new entries, at most every so many seconds, and a last one at the end.

    Args:
        process: settings (how often, where the public keys are written), the database, the clock.
        outside: where checkpoints are published.
        standing: told of each, so that the log is held to it.
        witnesses: who is asked to cosign.
    """

    def __init__(self, process: Process, outside: Outside, standing: Standing, witnesses: Sequence[Witness]) -> None:
        self._settings, self._database, self._clock = process.settings, process.database("audit"), process.clock
        self._outside, self._standing, self._witnesses = outside, standing, witnesses
        self._signers: Sequence[Signer] = ()
        self._cosigners = Cosigners(witnesses, self._consistency)
        self._task: asyncio.Task[None] | None = None
        self._last = Checkpoint("", 0, b"")
        self._last_at = 0
        self._pending: _Made | None = None
        self.trouble = ""

    async def start(self, signers: Sequence[Signer]) -> None:
        """Publishes the keys, and begins; a checkpoint that only the database has is published as well.

        Raises:
            LogRefused: the file of public keys cannot be written.
        """
        now = self._clock.now()
        signing = [key for signer in signers for key in (signer.key, signer.cokey)]
        async with self._database.begin() as connection:
            keys = await checkpoints.change_keys(connection, [*signing, *self._witness_keys()], now)
            made = await checkpoints.newest(connection)
        if made is not None:
            self._last = checkpoint_of(note_of(made.note).text)
            self._last_at = int(made.made_at.timestamp())
        file = keys_file(self._settings)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(replace_file, file, written_keys(keys).encode(), mode=PUBLIC)
        except OSError as error:
            raise unusable(file, error) from error
        # Only now may a stop sign: what was signed last is known.
        self._signers = signers
        self._task = asyncio.create_task(self._run(), name="audit.checkpoints")

    async def stop(self) -> None:
        """Makes the last checkpoint, within a bound, and ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._signers and not self._standing.refused:
            try:
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._tried()
            except TimeoutError:
                log.error("checkpoint_failed", error="TimeoutError")  # noqa: TRY400 -- there is no more to it
        await self._cosigners.close()

    async def _run(self) -> None:
        made_at = -self._settings.checkpoint_seconds
        while True:
            if monotonic() - made_at >= self._settings.checkpoint_seconds and await self._tried():
                made_at = monotonic()
            await asyncio.sleep(min(_LOOK_SECONDS, self._settings.checkpoint_seconds))

    async def _tried(self) -> bool:
        """Whether a checkpoint was made; what stands in its way is told, and tried again."""
        try:
            made = await self.make()
        except LogRefused as refusal:
            self.trouble = refusal.why
            return False
        except (Unavailable, DatabaseError, OSError, TimeoutError) as error:
            self.trouble = f"checkpoints cannot be published: {type(error).__name__}"
            log.error("checkpoint_failed", error=type(error).__name__)  # noqa: TRY400 -- its text may hold a row
            return False
        self.trouble = ""
        return made

    async def make(self) -> bool:
        """Signs the log as it is committed and publishes that; false where nothing was added since the last time.

        Raises:
            Unavailable, DatabaseError: an engine is away.
            OSError: the file cannot be written.
            LogRefused: the log does not continue its last checkpoint.
        """
        started = perf_counter()
        if self._pending is None:
            self._pending = await self._signed()
        if self._pending is None:
            return False
        made = self._pending
        await self._deliver(made)
        self._pending = None
        self._last, self._last_at = made.checkpoint, int(made.at.timestamp())
        self._standing.vouched(made.checkpoint)
        metrics.CHECKPOINTS.inc()
        metrics.CHECKPOINT_SECONDS.observe(perf_counter() - started)
        log.info("checkpoint_made", size=made.checkpoint.size, signatures=len(made.note.signatures))
        return True

    async def _signed(self) -> _Made | None:
        # The consumer appends meanwhile, and a log that grew between two looks would seem not to hold together.
        async with self._database.snapshot() as connection:
            head = await entries.head(connection)
            metrics.LOG_SIZE.set(head.size)
            if head.size == self._last.size:
                return None
            # Nothing is ever signed that does not continue what was signed before, whoever changed the database.
            await self._standing.examined(connection, head)
        checkpoint = Checkpoint(self._signers[0].name, head.size, head.root)
        at, text = self._time(), checkpoint.text
        signatures = [line for signer in self._signers for line in (signer.sign(text), signer.cosign(text, at))]
        note = await self._cosigners.cosigned(Note(text, tuple(signatures)), checkpoint)
        return _Made(checkpoint, note, datetime.fromtimestamp(at, UTC))

    async def _deliver(self, made: _Made) -> None:
        """Puts a checkpoint everywhere; called again after a failure it goes on where it stopped."""
        await self._file(made)
        if not made.on_topic:
            await self._outside.put_on_topic(made.note, made.at)
            made.on_topic = True
        async with self._database.begin() as connection:
            await checkpoints.keep(connection, made.checkpoint.size, made.at, str(made.note))

    async def _file(self, made: _Made) -> None:
        """Appends a checkpoint to the file once: a stop that comes in between waits for what is being written."""
        if made.filing is None:
            made.filing = asyncio.ensure_future(self._outside.put_in_file(made.note))
        try:
            await asyncio.shield(made.filing)
        except OSError:
            made.filing = None
            raise

    def _time(self) -> int:
        """Now; where the clock was set back, the time of the last checkpoint, for time in a log does not run back."""
        return max(self._last_at, int(self._clock.now().timestamp()))

    def _witness_keys(self) -> list[Key]:
        return [witness.key for witness in self._witnesses]

    async def _consistency(self, old: int, new: int) -> list[bytes]:
        async with self._database.begin() as connection:
            return await tree.consistency(connection, old, new)
