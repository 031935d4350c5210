"""Asking witnesses to cosign a checkpoint (C2SP tlog-witness): they sign only what continues what they saw before."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from services.audit.note import COSIGNATURE, BadNote, Checkpoint, Key, Note, Signature, key_of, note_of, vouched
from services.runtime import metrics
from services.runtime.logs import logger

log = logger(__name__)

Consistency = Callable[[int, int], Awaitable[list[bytes]]]

_PATIENCE_SECONDS: Final = 5.0
_MOST_ANSWER_CHARACTERS: Final = 16 * 1024
_MOST_TRIES: Final = 2
_CONFLICT: Final = 409


class BadWitnesses(Exception):
    """The setting of witnesses cannot be used; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: where it is asked, and the key it cosigns with."""

    url: str
    key: Key


def witnesses_of(setting: str) -> list[Witness]:
    """The witnesses of a setting: `URL VKEY` for each, with commas between.

    Raises:
        BadWitnesses: a part is not that.
    """
    found = []
    for part in filter(None, (part.strip() for part in setting.split(","))):
        url, _, vkey = part.partition(" ")
        try:
            key = key_of(vkey.strip())
        except BadNote as bad:
            raise BadWitnesses(f"JUBAO_WITNESSES names {part!r}, which is not URL VKEY: {bad}") from bad
        if key.kind != COSIGNATURE or not url.startswith(("http://", "https://")):
            raise BadWitnesses(f"JUBAO_WITNESSES names {part!r}, which is not an http address and a cosigner's key")
        found.append(Witness(url.rstrip("/"), key))
    return found


class Cosigners:
    """Asks all witnesses at once, and takes what comes in time.

    Args:
        witnesses: whom to ask.
        consistency: the proof from one size of the log to another.
    """

    def __init__(self, witnesses: Sequence[Witness], consistency: Consistency) -> None:
        self._witnesses, self._consistency = witnesses, consistency
        self._sizes: dict[Witness, int] = {}
        self._http = httpx.AsyncClient(timeout=_PATIENCE_SECONDS, follow_redirects=False)

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def cosigned(self, note: Note, checkpoint: Checkpoint) -> Note:
        """The note with the lines of those witnesses that cosigned it, after its own."""
        lines = await asyncio.gather(*(self._asked(witness, note, checkpoint) for witness in self._witnesses))
        return Note(note.text, (*note.signatures, *(line for line in lines if line is not None)))

    async def _asked(self, witness: Witness, note: Note, checkpoint: Checkpoint) -> Signature | None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                line = await self._cosign(witness, note, checkpoint)
        except (httpx.HTTPError, TimeoutError, BadNote) as error:
            log.warning("witness_away", witness=witness.key.name, error=type(error).__name__)
            line = None
        metrics.COSIGNATURES.labels(witness.key.name, "given" if line else "lacking").inc()
        return line

    async def _cosign(self, witness: Witness, note: Note, checkpoint: Checkpoint) -> Signature | None:
        for _ in range(_MOST_TRIES):
            old = self._sizes.get(witness, 0)
            proof = await self._consistency(old, checkpoint.size) if old <= checkpoint.size else []
            lines = [f"old {old}", *(b64encode(part).decode() for part in proof), "", str(note)]
            answer = await self._http.post(f"{witness.url}/add-checkpoint", content="\n".join(lines).encode())
            if answer.is_success:
                self._sizes[witness] = checkpoint.size
                return _line(note, witness.key, answer.text)
            told = _size(answer)
            if answer.status_code != _CONFLICT or told is None or told == old:
                log.error("witness_refused", witness=witness.key.name, status=answer.status_code)
                return None
            self._sizes[witness] = told
            if told > checkpoint.size:
                # It has seen a longer log of this name than ours is: exactly what a witness is for.
                log.error("witness_saw_more", witness=witness.key.name, size=told, ours=checkpoint.size)
                return None
        return None


def _size(answer: httpx.Response) -> int | None:
    text = answer.text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004 -- digits of 2^63


def _line(note: Note, key: Key, answer: str) -> Signature | None:
    """The witness's own line, which must hold; others in its answer are passed by."""
    found = note_of(f"{note.text}\n{answer[:_MOST_ANSWER_CHARACTERS]}")
    for signature in found.signatures:
        if (signature.name, signature.key_id) == (key.name, key.id):
            vouched(Note(note.text, (signature,)), [key])
            return signature
    return None
