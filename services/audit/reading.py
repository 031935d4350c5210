"""From a record's bytes to its leaf: what fits its topic's contract is disclosed, what does not is named unreadable."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from schemas.envelope import Event
from schemas.topics import CHECKPOINTS, TOPICS, Topic
from services.audit.disclosure import FAMILIES, Family
from services.audit.leaf import Leaf, Origin, Place, Unfit, derived_identity, leaf_of, unreadable
from services.runtime.twins import Twin, Unlike

# Every topic but that of the log's own checkpoints: those vouch for entries and are none.
LOGGED: Final = tuple(topic for topic in TOPICS if topic is not CHECKPOINTS)
# Anyone may produce to these, so an event's id alone does not say that a second record is the first one again.
_OPEN_TOPICS: Final = frozenset(topic.name for topic in LOGGED if topic.name.startswith("reports."))


class Unreadable(ValueError):
    """A record that is no event of its topic; `reason` says where and how, and quotes nothing."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Reader:
    """Reads the records of one topic."""

    def __init__(self, topic: Topic) -> None:
        families = FAMILIES[topic.name]
        self._topic = topic
        self._families: Mapping[str, Family] = {name: family for family in families for name in family.types}
        self._adapter: TypeAdapter[Any] = TypeAdapter(_any_of(families))
        # Where several families share a topic its records are few.
        self._twin = Twin(families[0].model) if len(families) == 1 else None
        self._known_names = frozenset(name for family in families for name in _names(family.model)) | set(topic.events)

    def leaf(self, place: Place, value: bytes, salt: bytes) -> Leaf:
        """The leaf of a record's event; `salt` is 32 random bytes.

        Raises:
            Unreadable: the record is no event of this topic.
        """
        event = self._event(value)
        family = self._families.get(event.type)
        if family is None:
            raise Unreadable("type: not an event of this topic")
        origin = Origin(event.id, event.type, event.time, event.correlationid, event.causationid)
        identity = self._identity(event.id, origin, value)
        try:
            return leaf_of(place, origin, family.disclose(event), identity=identity, salt=salt)
        except Unfit as error:
            raise Unreadable("a number or a time is out of range") from error

    def leaf_or_unreadable(self, place: Place, value: bytes, salt: bytes) -> tuple[Leaf, str | None]:
        """The leaf of the event, or the leaf that says there is none; and in that case why."""
        try:
            return self.leaf(place, value, salt), None
        except Unreadable as error:
            return unreadable(place, error.reason), error.reason

    def _event(self, value: bytes) -> Event[Any]:
        if len(value) > self._topic.max_value_bytes:
            raise Unreadable(f"larger than {self._topic.max_value_bytes} bytes")
        if self._twin is not None:
            try:
                return self._twin.read(value)  # type: ignore[no-any-return] # it stands for the model
            except Unlike:
                pass  # The model has the last word, and the words for what does not fit.
        try:
            event: Event[Any] = self._adapter.validate_json(value)
        except ValidationError as error:
            raise Unreadable(self._reason(error)) from None
        return event

    def _identity(self, event_id: UUID, origin: Origin, value: bytes) -> UUID:
        return derived_identity(origin, self._topic.name, value) if self._topic.name in _OPEN_TOPICS else event_id

    def _reason(self, error: ValidationError) -> str:
        # A location may hold a key that the record made up, so only names of the contract are repeated.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(
            str(part) if isinstance(part, int) or part in self._known_names else "*" for part in first["loc"]
        )
        return f"{where}: {first['type']}" if where else first["type"]


def _any_of(families: tuple[Family, ...]) -> Any:  # noqa: ANN401 -- a type made at run time has no narrower one
    if len(families) == 1:
        return families[0].model
    union: Any = families[0].model
    for family in families[1:]:
        union |= family.model
    return Annotated[union, Field(discriminator="type")]


def _names(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    yield from schema.get("properties", {})
    for definition in schema.get("$defs", {}).values():
        yield from definition.get("properties", {})
