"""Dead letters over HTTP, for every service that keeps some."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from schemas.envelope import Contract
from schemas.text import WHOLE, Timestamp
from services.runtime.bodies import body
from services.runtime.dead import DeadLetter
from services.runtime.gate import SignedIn
from services.runtime.logs import logger
from services.runtime.process import Process

log = logger(__name__)

_MOST_AT_ONCE = 200
_LINKS = {
    "letter": {
        "operationId": "dead_letter",
        "description": "The first of them.",
        "parameters": {
            "topic": "$response.body#/letters/0/topic",
            "partition": "$response.body#/letters/0/partition",
            "offset": "$response.body#/letters/0/offset",
        },
    },
    "next": {
        "operationId": "dead_letters",
        "description": "The page behind this one.",
        "parameters": {"cursor": "$response.body#/next"},
    },
}


_MOST_PARTITION = 2**31 - 1
_MOST_OFFSET = 2**63 - 1

# As Kafka and its tables hold them: what is beyond cannot have died, and no column would take it.
TopicName = Annotated[str, StringConstraints(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
Partition = Annotated[int, Field(ge=0, le=_MOST_PARTITION, strict=True), WHOLE]
Offset = Annotated[int, Field(ge=0, le=_MOST_OFFSET, strict=True), WHOLE]


class Place(Contract):
    """A dead letter by its place on the topic it came from."""

    topic: TopicName
    partition: Partition
    offset: Offset


class Replay(Contract):
    """Which to put back: these, or all that were open at `until` (now, unless told) behind a place, page by page."""

    letters: Annotated[list[Place], Field(max_length=_MOST_AT_ONCE)] | None = None
    after: Place | None = None
    until: Timestamp | None = None


class Letter(Place):
    """A dead letter and why it died."""

    reason: str
    at: Timestamp


class LetterPage(Contract):
    """Open dead letters by topic, partition and offset; `next` is the cursor of the following page, null at the end."""

    letters: list[Letter]
    next: str | None


class WholeLetter(Letter):
    """A dead letter with its record's header names, key and size; null while it is on its way to the dead topic."""

    headers: list[str]
    bytes: int | None
    key: str | None


class NextReplay(Contract):
    """The body of the call that goes on where a replay of everything stopped."""

    after: Place
    until: Timestamp


class Replayed(Contract):
    """What was sent again, and what is still on its way to the dead-letter topic and must be asked for again."""

    replayed: list[Place]
    waiting: list[Place]
    next: NextReplay | None


def dead_router(process: Process, service: str) -> APIRouter:
    """Routes to list, show and replay a service's dead letters, for admins."""
    router = APIRouter(prefix="/v1/dead", tags=["dead letters"])

    @router.get("", summary="Open dead letters, by topic, partition and offset", responses={200: {"links": _LINKS}})
    async def dead_letters(cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=1_000)] = 200) -> LetterPage:
        after = process.cursors.read(cursor, "t", "p", "o") if cursor is not None else None
        place = ("", -1, -1) if after is None else (str(after["t"]), int(str(after["p"])), int(str(after["o"])))
        letters = await process.dead_letters(service).page(place, limit)
        last = letters[-1] if len(letters) == limit else None
        following = process.cursors.write({"t": last.topic, "p": last.partition, "o": last.offset}) if last else None
        return LetterPage(letters=[Letter(**_shown(letter)) for letter in letters], next=following)

    @router.get("/{topic}/{partition}/{offset}", summary="One dead letter with its record's headers and size")
    async def dead_letter(
        topic: Annotated[TopicName, Path()],
        partition: Annotated[int, Path(ge=0, le=_MOST_PARTITION)],
        offset: Annotated[int, Path(ge=0, le=_MOST_OFFSET)],
    ) -> WholeLetter:
        letter, record = await process.dead_letters(service).one(topic, partition, offset)
        headers = [] if record is None else [name for name, _ in record.headers]
        size = None if record is None else len(record.value)
        key = None if record is None or record.key is None else record.key.decode("utf-8", "replace")
        return WholeLetter(**_shown(letter), headers=headers, bytes=size, key=key)

    @router.post(
        "/replay", summary="Sends dead records again to the topics they came from", responses={404: {}, 503: {}}
    )
    async def replay_dead_letters(caller: SignedIn, wanted: Annotated[Replay, body(Replay)]) -> Replayed:
        dead = process.dead_letters(service)
        until = wanted.until or await dead.now()
        if wanted.letters is not None:
            letters = [(await dead.one(w.topic, w.partition, w.offset))[0] for w in wanted.letters]
        else:
            after = wanted.after
            letters = await dead.page(
                (after.topic, after.partition, after.offset) if after else ("", -1, -1), _MOST_AT_ONCE, until
            )
        sent = await dead.replay(letters)
        log.info("dead_letters_replayed", service=service, actor=caller.name, count=len(sent))
        last = letters[-1] if wanted.letters is None and len(letters) == _MOST_AT_ONCE else None
        return Replayed(
            replayed=[_place(letter) for letter in sent],
            waiting=[_place(letter) for letter in letters if letter not in sent],
            next=NextReplay(after=_place(last), until=until) if last else None,
        )

    return router


def _place(letter: DeadLetter) -> Place:
    return Place(topic=letter.topic, partition=letter.partition, offset=letter.offset)


def _shown(letter: DeadLetter) -> dict[str, Any]:
    return {**_place(letter).model_dump(), "reason": letter.reason, "at": letter.at}
