"""The form of an entry: the bytes that are logged for ever, and what is kept apart from them.

A leaf is RFC 8785 canonical JSON of ids, times, codes and actor. What names or quotes a person goes into the private
part; of that the leaf holds a commitment only, HMAC-SHA256 of the part's canonical JSON under 32 random bytes. Whoever
is shown part and salt can check them against the leaf; once both are erased, the leaf says nothing about them.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple, Protocol
from uuid import UUID, uuid5

import orjson
from uuid_utils.compat import uuid5 as quick_uuid5

VERSION: Final = 1
SALT_BYTES: Final = 32
UNREADABLE: Final = "jubao.record.unreadable.v1"
_WRITER: Final = "audit"
_NOTHING: Final[Mapping[str, object]] = {}
_RECORDS: Final = UUID("c0a0ef8e-1f0e-5a53-8f3e-0d0d5be1a7a4")

_SECONDS, _WHOLE = len("2026-11-23T08:00:00."), len("2026-11-23T08:00:00.000000Z")

# With ASCII keys and without floats these options give the bytes of RFC 8785, at a seventieth of its library's cost.
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class Unfit(ValueError):
    """A value that canonical JSON cannot hold: an integer beyond 53 bits, or a time outside the calendar in UTC."""


class Place(Protocol):
    """Where the broker keeps a record, and when it took it (UTC)."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def partition(self) -> int:
        """The partition's number."""

    @property
    def offset(self) -> int:
        """The record's place in the partition."""

    @property
    def at(self) -> datetime:
        """The broker's append time."""


class Origin(NamedTuple):
    """What an event's envelope says: its id, its type, its producer's clock and what it follows from."""

    id: UUID
    type: str
    time: datetime | str
    correlationid: UUID | None
    causationid: UUID | None


class Disclosure(NamedTuple):
    """What the log may show of an event, and what it only commits to.

    `actor` is a member of staff, a source or a service, never a reporter. `detail` has ASCII keys and holds codes,
    numbers, times and ids; None means absent. `private` holds the rest, with ASCII keys as well.
    """

    actor: str
    detail: Mapping[str, object]
    private: Mapping[str, object] = _NOTHING
    report_id: UUID | None = None
    case_id: UUID | None = None
    content_id: str | None = None
    source_id: str | None = None


class Leaf(NamedTuple):
    """An entry before it has its index: the leaf's bytes, what it is found by, and the private part with its salt.

    `identity` is what makes a second delivery the same entry. `event_id` is set only where it differs from that.
    """

    identity: UUID
    event_id: UUID | None
    type: str
    at: datetime
    actor: str
    report_id: UUID | None
    case_id: UUID | None
    content_id: str | None
    source_id: str | None
    body: bytes
    salt: bytes | None
    part: bytes | None


def canonical(value: Mapping[str, object]) -> bytes:
    """RFC 8785 bytes of an object with ASCII keys and without floats; UUIDs and words of the vocabulary as text.

    Raises:
        Unfit: an integer needs more than 53 bits.
    """
    try:
        return orjson.dumps(value, option=_CANONICAL)
    except TypeError as error:
        raise Unfit(str(error)) from error


def commitment(salt: bytes, part: bytes) -> str:
    """HMAC-SHA256 of a private part's bytes under its salt, in hexadecimal."""
    return hmac.digest(salt, part, "sha256").hex()


def fits(promised: object, salt: bytes, part: bytes) -> bool:
    """Whether a private part under its salt is what a leaf promised: the leaf's `commitment`, whatever stands there."""
    return promised == commitment(salt, part)


def moment(value: datetime | str) -> str:
    """A time in the one form leaves write it: UTC, microseconds, `Z`.

    Text is a time as a double reads it (`services.runtime.twins`): UTC with `Z`, and no fraction, milliseconds or
    microseconds.

    Raises:
        Unfit: the time has no year between 1 and 9999 in UTC.
    """
    if isinstance(value, str):
        return value if len(value) == _WHOLE else value[:-1].ljust(_SECONDS, ".").ljust(_WHOLE - 1, "0") + "Z"
    try:
        return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    except OverflowError as error:
        raise Unfit("time outside the calendar") from error


def append_time(value: datetime) -> str:
    """A broker's append time in UTC, which it keeps in milliseconds."""
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def derived_identity(origin: Origin, topic: str, value: bytes) -> UUID:
    """The identity of a record on a topic that anyone may produce to: its event's id together with its bytes.

    The same record delivered or sent again is one entry; two contents under one event id are both logged, so nobody
    can keep a report out of the log by sending another under its id first.
    """
    return quick_uuid5(origin.id, f"{topic}:{sha256(value).hexdigest()}")


def leaf_of(place: Place, origin: Origin, shown: Disclosure, *, identity: UUID, salt: bytes) -> Leaf:
    """Makes the leaf of an event; `salt` (32 random bytes) is used, and kept, only if there is a private part.

    Raises:
        Unfit: a number or a time of the event has no canonical form.
    """
    private = _present(shown.private)
    part = canonical(private) if private else None
    body = _body(place, origin.id, origin.type, shown)
    body["event_time"] = moment(origin.time)
    if origin.correlationid is not None:
        body["correlationid"] = origin.correlationid
    if origin.causationid is not None:
        body["causationid"] = origin.causationid
    if part:
        body["commitment"] = commitment(salt, part)
    return Leaf(
        identity=identity,
        event_id=None if identity == origin.id else origin.id,
        type=origin.type,
        at=place.at,
        actor=shown.actor,
        report_id=shown.report_id,
        case_id=shown.case_id,
        content_id=shown.content_id,
        source_id=shown.source_id,
        body=canonical(body),
        salt=salt if part else None,
        part=part,
    )


def unreadable(place: Place, reason: str) -> Leaf:
    """The entry of a record that is no event of its topic: where it stands and what is wrong, nothing it says."""
    identity = uuid5(_RECORDS, f"{place.topic}:{place.partition}:{place.offset}")
    body = _body(place, identity, UNREADABLE, Disclosure(actor=_WRITER, detail={"reason": reason}))
    return Leaf(
        identity=identity,
        event_id=None,
        type=UNREADABLE,
        at=place.at,
        actor=_WRITER,
        report_id=None,
        case_id=None,
        content_id=None,
        source_id=None,
        body=canonical(body),
        salt=None,
        part=None,
    )


def _body(place: Place, event_id: UUID, event_type: str, shown: Disclosure) -> dict[str, object]:
    body: dict[str, object] = {
        "v": VERSION,
        "id": event_id,
        "type": event_type,
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "time": append_time(place.at),
        "actor": shown.actor,
        "detail": _present(shown.detail),
    }
    if shown.report_id is not None:
        body["report_id"] = shown.report_id
    if shown.case_id is not None:
        body["case_id"] = shown.case_id
    if shown.content_id is not None:
        body["content_id"] = shown.content_id
    if shown.source_id is not None:
        body["source_id"] = shown.source_id
    return body


def _present(values: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if value is not None}
