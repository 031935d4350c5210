"""Ids of things that have none of their own."""

from uuid import UUID, uuid5

from uuid_utils import uuid7 as _uuid7

from services.runtime.broker import Record

_RECORDS = UUID("0d8a4c0e-6a5b-5f0e-8d0f-3d7c1b2a9e55")


def new_id() -> UUID:
    """A new UUIDv7 (RFC 9562): in the order of time, for what begins at the edge."""
    return UUID(int=_uuid7().int)


def record_id(record: Record) -> UUID:
    """The id of a raw record by its place, for records that say none."""
    return uuid5(_RECORDS, f"{record.topic}/{record.partition}/{record.offset}")
