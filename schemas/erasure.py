"""What happens to the private parts of reports, on `erasures.v1`: erased, held against erasure, disclosed.

A reporter stands in none of these events: an order names reports, and audit alone found out whose they are.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Contract, Event, derived_id
from schemas.text import Identifier, Name, Text
from schemas.vocabulary import Basis

ORDERED = "jubao.erasure.ordered.v1"
DONE = "jubao.erasure.done.v1"
HOLD_PLACED = "jubao.hold.placed.v1"
HOLD_LIFTED = "jubao.hold.lifted.v1"
DISCLOSED = "jubao.entry.disclosed.v1"

REPORTS_AN_ORDER = 500

Keeper = Literal["audit", "intake", "review"]
Ground = Annotated[Text, Field(min_length=1, max_length=1_000)]


class Order(Contract):
    """One part of an erasure: the reports whose text, reporter and digests are to go wherever they are kept."""

    erasure_id: UUID = Field(description="The erasure, in all its parts.")
    part: Annotated[int, Field(ge=1)] = Field(description="Which part of it this is, from 1.")
    basis: Basis = Field(description="By what the reports were found: reporter, content, reports or retention.")
    content_id: Identifier | None = Field(None, description="The item, where the reports were found by it.")
    ordered_by: Name = Field(description="Who ordered it.")
    ground: Ground = Field(description="On which ground.")
    reports: Annotated[list[UUID], Field(min_length=1, max_length=REPORTS_AN_ORDER)] = Field(
        description="The reports, each once."
    )


class ErasureOrdered(Event[Order]):
    """Reports are to be erased; key: the erasure's id."""

    type: Literal["jubao.erasure.ordered.v1"]


class Answer(Contract):
    """A service has erased what it kept of the reports of one part, or had nothing more of them."""

    erasure_id: UUID = Field(description="The erasure.")
    part: Annotated[int, Field(ge=1)] = Field(description="The part that is answered.")
    service: Keeper = Field(description="Which service answers.")
    count: Annotated[int, Field(ge=0)] = Field(description="How many rows it changed or removed.")


class ErasureDone(Event[Answer]):
    """A service has carried out a part of an erasure; key: the erasure's id."""

    type: Literal["jubao.erasure.done.v1"]


class HoldChange(Contract):
    """A legal hold: what it is on, and on which ground. While it stands nothing of that is erased."""

    hold_id: UUID = Field(description="The hold.")
    content_id: Identifier | None = Field(None, description="The item it is on: all reports about it.")
    report_id: UUID | None = Field(None, description="The report it is on.")
    source_id: Identifier | None = Field(None, description="The source it is on: all reports of it.")
    actor: Name = Field(description="Who placed or lifted it.")
    ground: Ground = Field(description="On which ground it was placed.")


class HoldPlaced(Event[HoldChange]):
    """A legal hold stands from now on; key: its id."""

    type: Literal["jubao.hold.placed.v1"]


class HoldLifted(Event[HoldChange]):
    """A legal hold stands no longer; key: its id."""

    type: Literal["jubao.hold.lifted.v1"]


class Disclosure(Contract):
    """Somebody was given the private part of an entry of the log, with its salt."""

    index: Annotated[int, Field(ge=0)] = Field(description="The entry.")
    actor: Name = Field(description="Who was given it.")
    report_id: UUID | None = Field(None, description="The report that the entry is about.")
    ground: Ground = Field(description="On which ground.")


class EntryDisclosed(Event[Disclosure]):
    """The private part of an entry was disclosed; key: the entry's index."""

    type: Literal["jubao.entry.disclosed.v1"]


def order_id(erasure_id: UUID, part: int) -> UUID:
    """The id of the event that orders one part of an erasure."""
    return derived_id(erasure_id, "part", str(part))


def answer_id(ordered: UUID, service: str) -> UUID:
    """The id of a service's answer to the order of that id: the same however often the order is read."""
    return derived_id(ordered, "done", service)


def answer_to(ordered: ErasureOrdered, service: Keeper, count: int, at: datetime) -> ErasureDone:
    """A service's answer to an order."""
    order = ordered.data
    return ErasureDone(
        specversion="1.0",
        id=answer_id(ordered.id, service),
        source=service,
        type=DONE,
        time=at,
        subject=str(order.erasure_id),
        causationid=ordered.id,
        data=Answer(erasure_id=order.erasure_id, part=order.part, service=service, count=count),
    )
