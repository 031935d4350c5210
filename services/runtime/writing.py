"""How an event is written; pure, so that what decides may use it."""

from pydantic import BaseModel


def event_bytes(event: BaseModel) -> bytes:
    """An event as the bytes that go to Kafka: JSON by the contract's names, without absent fields."""
    # As model_dump_json, which would make a text of these bytes first.
    return event.__pydantic_serializer__.to_json(event, by_alias=True, exclude_none=True)
