"""The events by which the log tells of erasures, holds and disclosures; from here they go to the outbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.envelope import CONTENT_TYPE, Event
from schemas.erasure import (
    DISCLOSED,
    HOLD_LIFTED,
    HOLD_PLACED,
    ORDERED,
    Disclosure,
    EntryDisclosed,
    ErasureDone,
    ErasureOrdered,
    HoldChange,
    HoldLifted,
    HoldPlaced,
    Order,
    answer_to,
    order_id,
)
from schemas.topics import ERASURES
from services.audit.store.erasing import Part
from services.runtime.outbox import Message, event_bytes

_SOURCE: Final = "audit"
_HEADERS: Final = (("content-type", CONTENT_TYPE.encode()),)


def order_messages(part: Part, at: datetime) -> Sequence[Message]:
    """The order of a part, and the log's own answer to it: it has erased in the same transaction."""
    ordered = ErasureOrdered(
        specversion="1.0",
        id=order_id(part.erasure_id, part.number),
        source=_SOURCE,
        type=ORDERED,
        time=at,
        subject=str(part.erasure_id),
        data=Order(
            erasure_id=part.erasure_id,
            part=part.number,
            basis=part.basis,
            content_id=part.content_id,
            ordered_by=part.ordered_by,
            ground=part.ground,
            # Ids that were read from the database are of asyncpg's own kind of UUID.
            reports=[UUID(bytes=report_id.bytes) for report_id in part.reports],
        ),
    )
    done: ErasureDone = answer_to(ordered, "audit", part.count, at)
    return [_message(str(part.erasure_id), ordered), _message(str(part.erasure_id), done)]


def hold_placed(hold: HoldChange, event_id: UUID, at: datetime) -> Message:
    """A hold stands."""
    event = HoldPlaced(
        specversion="1.0", id=event_id, source=_SOURCE, type=HOLD_PLACED, time=at, subject=str(hold.hold_id), data=hold
    )
    return _message(str(hold.hold_id), event)


def hold_lifted(hold: HoldChange, event_id: UUID, at: datetime) -> Message:
    """A hold stands no longer."""
    event = HoldLifted(
        specversion="1.0", id=event_id, source=_SOURCE, type=HOLD_LIFTED, time=at, subject=str(hold.hold_id), data=hold
    )
    return _message(str(hold.hold_id), event)


def disclosed(disclosure: Disclosure, event_id: UUID, at: datetime) -> Message:
    """A private part was given to somebody."""
    event = EntryDisclosed(
        specversion="1.0",
        id=event_id,
        source=_SOURCE,
        type=DISCLOSED,
        time=at,
        subject=str(disclosure.index),
        correlationid=disclosure.report_id,
        data=disclosure,
    )
    return _message(str(disclosure.index), event)


def _message(key: str, event: Event[Any]) -> Message:
    return Message(ERASURES.name, key.encode(), event_bytes(event), event.id, event.causationid, _HEADERS)
