"""Keeping the log while it is our turn: it is examined, written, and vouched for."""

from collections.abc import Sequence
from uuid import uuid4

from services.audit.checkpointing import Checkpoints
from services.audit.consume import Log
from services.audit.keys import parse_keys
from services.audit.note import BadNote, Key, Signer
from services.audit.outside import Outside, keys_file
from services.audit.signing import BadKeyFile, signers_of
from services.audit.standing import LogRefused, Standing, unusable
from services.audit.store import checkpoints, entries
from services.audit.witnesses import BadWitnesses, witnesses_of
from services.runtime.batch import BatchConsumer
from services.runtime.broker import Subscription
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.process import Process

log = logger(__name__)

_SERVICE = "audit"


class Keeper:
    """Writes the log for one turn. Without a key file entries are logged, and nothing vouches for them.

    Args:
        process: settings and engines.
    """

    name = "audit.consume"

    def __init__(self, process: Process) -> None:
        self._settings, self._database = process.settings, process.database(_SERVICE)
        self._standing = Standing()
        self._consumer = BatchConsumer(process.settings, self._database, Log(self._standing))
        self._outside = Outside(process.settings, process.publisher)
        self._process = process
        self._checkpoints: Checkpoints | None = None

    @property
    def refused(self) -> str:
        """Why nothing may be written to the log any more; empty while it may."""
        return self._standing.refused

    async def start(self) -> None:
        """Examines the log, and begins to write if it is the one that was vouched for.

        Raises:
            LogRefused: it is not, or its keys cannot be used.
            Unavailable: an engine is away.
        """
        signers = await self._signers()
        if signers:
            known = [key for signer in signers for key in (signer.key, signer.cokey)] + self._published_keys()
            try:
                self._standing.begin(await self._outside.newest(signers[0].name, known))
            except OSError as error:
                raise unusable(self._outside.file, error) from error
        else:
            log.warning("log_unsigned")
        # A writer that lost its turn may still be in its last append.
        async with self._database.snapshot() as connection:
            await self._standing.examined(connection, await entries.head(connection))
        # Before the first append: a stop that came in between would leave entries that nothing vouches for.
        if signers:
            self._checkpoints = self._vouching()
            await self._checkpoints.start(signers)
        await self._consumer.start()

    async def stop(self) -> None:
        """Finishes the batch in hand, and vouches for it."""
        await self._consumer.stop()
        if self._checkpoints is not None:
            await self._checkpoints.stop()

    def subscriptions(self) -> Sequence[Subscription]:
        """What the log is made of."""
        return self._consumer.subscriptions()

    def health(self) -> Health:
        """The consumer's, unless checkpoints cannot be published."""
        if self._checkpoints is not None and self._checkpoints.trouble:
            return Health(healthy=False, detail=self._checkpoints.trouble)
        return self._consumer.health()

    def _vouching(self) -> Checkpoints:
        try:
            witnesses = witnesses_of(self._settings.witnesses)
        except BadWitnesses as bad:
            raise LogRefused(str(bad)) from bad
        return Checkpoints(self._process, self._outside, self._standing, witnesses)

    async def _signers(self) -> list[Signer]:
        if self._settings.audit_key_file is None:
            return []
        async with self._database.begin() as connection:
            origin = await checkpoints.origin(connection)
            wanted = self._settings.log_origin
            if origin is None:
                origin = wanted or f"jubao.local/{uuid4().hex[:12]}"
                await checkpoints.name(connection, origin)
        if wanted and wanted != origin:
            raise LogRefused(
                f"JUBAO_LOG_ORIGIN is {wanted}, but the log in this database is named {origin}: set that name again"
            )
        try:
            return signers_of(self._settings.audit_key_file, origin)
        except (BadKeyFile, BadNote) as bad:
            raise LogRefused(str(bad)) from bad

    def _published_keys(self) -> list[Key]:
        """Keys that signed before and no longer do: their checkpoints still bind us."""
        try:
            return [dated.key for dated in parse_keys(keys_file(self._settings).read_text("utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            file = keys_file(self._settings)
            raise LogRefused(f"the log's public keys in {file} cannot be read: {type(error).__name__}") from error
