"""Whether the log in the database is still the one that was vouched for outside; where it is not, nothing is written.

A log that goes on after being set back or changed would have two histories, each with good signatures. So the database
is compared with the newest checkpoints outside it before the first append, and whenever it is not as it was left.
"""

from collections.abc import Sequence
from pathlib import Path

from services.audit.note import Checkpoint
from services.audit.store import entries, tree
from services.runtime.database import Connection


class LogRefused(Exception):
    """The log must not be appended to; `why` says in a sentence of ours what is wrong and what to do."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def unusable(file: Path, error: OSError) -> LogRefused:
    """The refusal where a file that the log needs outside its database cannot be used."""
    return LogRefused(
        f"{file} cannot be used ({error.strerror}): let the process that writes the log read and write it"
    )


class Standing:
    """What the log has to continue."""

    def __init__(self) -> None:
        self.refused = ""
        self._outside: list[Checkpoint] = []
        self._written: entries.Head | None = None

    def begin(self, outside: Sequence[Checkpoint]) -> None:
        """Holds the log to these checkpoints from now on, and forgets an earlier refusal."""
        self._outside = list(outside)
        self.refused = ""

    def vouched(self, checkpoint: Checkpoint) -> None:
        """Holds the log to a newer checkpoint, which covers those before it."""
        self._outside = [checkpoint]

    def wrote(self, head: entries.Head) -> None:
        """Holds the log to the head that an append leaves it with; where it is rolled back, no head has that size."""
        self._written = head

    def occupied(self, constraint: str) -> LogRefused:
        """The refusal where a place that the next entries belong to is taken already, by whoever else wrote there."""
        self.refused = (
            f"something stands already where the next entries belong ({constraint}): another hand has written to the "
            "log's tables; remove what it wrote, or restore a backup"
        )
        return LogRefused(self.refused)

    async def examined(self, connection: Connection, head: entries.Head) -> entries.Grown:
        """What an append goes on from.

        Raises:
            LogRefused: the log is not the one that was vouched for, or does not fit together.
        """
        try:
            _as_written(self._written, head)
            for checkpoint in self._outside:
                await _continues(connection, head, checkpoint)
            return await tree.taken_up(connection, head)
        except tree.Torn as torn:
            self.refused = f"the log in the database does not hold together: {torn}; restore a backup of it"
        except LogRefused as refusal:
            self.refused = refusal.why
        raise LogRefused(self.refused)


def _as_written(written: entries.Head | None, head: entries.Head) -> None:
    if written is not None and written.size == head.size and written.root != head.root:
        raise LogRefused(
            f"the log of {head.size} entries in the database is not the one that was written: it was changed; restore "
            "a backup of it, or begin a new log under another name"
        )


async def _continues(connection: Connection, head: entries.Head, checkpoint: Checkpoint) -> None:
    if checkpoint.size > head.size:
        raise LogRefused(
            f"the database has {head.size} entries of the log, but a checkpoint of {checkpoint.size} was published: it "
            "was set back; restore a backup with at least that many, or begin a new log under another name"
        )
    if await tree.root(connection, checkpoint.size) != checkpoint.root:
        raise LogRefused(
            f"the first {checkpoint.size} entries in the database are not those that its published checkpoint vouches "
            "for: the log was changed; restore a backup of it, or begin a new log under another name"
        )
