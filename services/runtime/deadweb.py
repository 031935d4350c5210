"""Dead letters over HTTP, for every service that keeps some."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from schemas.envelope import Contract
from schemas.text import Timestamp
from services.runtime.auth import Caller, require
from services.runtime.bodies import body
from services.runtime.dead import DeadLetter
from services.runtime.logs import logger
from services.runtime.process import Process

log = logger(__name__)

_MOST_AT_ONCE = 200


class Place(Contract):
    """A dead letter by its place on the topic it came from."""

    topic: str
    partition: int
    offset: int


class Replay(Contract):
    """Which to put back: these, or all that were open at `until` (now, unless told) behind a place, page by page."""

    letters: list[Place] | None = None
    after: Place | None = None
    until: Timestamp | None = None


def dead_router(process: Process, service: str) -> APIRouter:
    """Routes to list, show and replay a service's dead letters, for admins."""
    router = APIRouter(prefix="/v1/dead", tags=["dead letters"])
    admin = require("admin")

    @router.get("", summary="Open dead letters, by topic, partition and offset")
    async def listing(
        _: Annotated[Caller, admin],
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    ) -> dict[str, Any]:
        after = process.cursors.read(cursor, "t", "p", "o") if cursor else None
        place = ("", -1, -1) if after is None else (str(after["t"]), int(str(after["p"])), int(str(after["o"])))
        letters = await process.dead_letters(service).page(place, limit)
        last = letters[-1] if len(letters) == limit else None
        return {
            "letters": [_shown(letter) for letter in letters],
            "next": process.cursors.write({"t": last.topic, "p": last.partition, "o": last.offset}) if last else None,
        }

    @router.get("/{topic}/{partition}/{offset}", summary="One dead letter with its record's headers and size")
    async def one(_: Annotated[Caller, admin], topic: str, partition: int, offset: int) -> dict[str, Any]:
        letter, record = await process.dead_letters(service).one(topic, partition, offset)
        headers = [] if record is None else [name for name, _ in record.headers]
        size = None if record is None else len(record.value)
        key = None if record is None or record.key is None else record.key.decode("utf-8", "replace")
        return {**_shown(letter), "headers": headers, "bytes": size, "key": key}

    @router.post("/replay", summary="Sends dead records again to the topics they came from")
    async def replay(caller: Annotated[Caller, admin], wanted: Annotated[Replay, body(Replay)]) -> dict[str, Any]:
        dead = process.dead_letters(service)
        until = wanted.until or await dead.now()
        if wanted.letters is not None:
            letters = [(await dead.one(w.topic, w.partition, w.offset))[0] for w in wanted.letters[:_MOST_AT_ONCE]]
        else:
            after = wanted.after
            letters = await dead.page(
                (after.topic, after.partition, after.offset) if after else ("", -1, -1), _MOST_AT_ONCE
            )
        sent = await dead.replay(letters)
        log.info("dead_letters_replayed", service=service, actor=caller.name, count=len(sent))
        last = letters[-1] if wanted.letters is None and len(letters) == _MOST_AT_ONCE else None
        return {
            "replayed": [_place(letter) for letter in sent],
            "waiting": [_place(letter) for letter in letters if letter not in sent],
            "next": {"after": _place(last), "until": until.isoformat()} if last else None,
        }

    return router


def _place(letter: DeadLetter) -> dict[str, object]:
    return {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}


def _shown(letter: DeadLetter) -> dict[str, object]:
    return {**_place(letter), "reason": letter.reason, "at": letter.at.isoformat()}
