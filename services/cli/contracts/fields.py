"""A JSON Schema as rows that a person reads: place, type, whether it must be there, bounds, meaning."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

_DEEPEST: Final = 4
_FORMATS: Final = {"uuid": "UUID", "date-time": "time", "uri": "URL"}
_PATTERNS: Final = {
    r"^[^\x00]*$": "no NUL",
    r"^[^\x00-\x20\x7f]+$": "no spaces or control characters",
    r"^[0-9a-fA-F]{64}$": "64 hexadecimal digits",
    r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$": "letters, digits and single hyphens",
}
_NAMES: Final = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "null": "null"}


@dataclass(frozen=True, slots=True)
class Row:
    """One field: `place` is dotted, `[]` marks the items of a list."""

    place: str
    kind: str
    required: bool
    bounds: str
    about: str


class Fields:
    """Reads the fields of schemas that refer to one another by `#/components/schemas/`."""

    def __init__(self, components: Schema) -> None:
        self._components = components

    def rows(self, schema: Schema, place: str = "", depth: int = 0) -> Iterator[Row]:
        """The fields of an object, those of inner objects after them by their dotted places."""
        whole = self.resolved(schema)
        required = set(whole.get("required", ()))
        for name, given in whole.get("properties", {}).items():
            said = self._bare(given)
            where = f"{place}{name}"
            yield Row(where, self._kind(said), name in required, self._bounds(given, said), _about(given, said))
            inner, mark = (self._bare(said["items"]), "[].") if "items" in said else (said, ".")
            if depth < _DEEPEST and "properties" in inner:
                yield from self.rows(inner, f"{where}{mark}", depth + 1)

    def resolved(self, schema: Schema) -> Schema:
        """What a reference stands for; anything else is itself."""
        if "$ref" not in schema:
            return schema
        found: Schema = self._components[schema["$ref"].rpartition("/")[2]]
        return self.resolved(found)

    def item(self, schema: Schema) -> Schema:
        """The items of a list; anything else is itself."""
        whole = self.resolved(schema)
        return self.resolved(whole["items"]) if "items" in whole else whole

    def name(self, schema: Schema) -> str:
        """What a schema is called, as `CaseAnswer` or `list of QueueAnswer`; empty where it has no name."""
        if "items" in schema:
            return f"list of {self.name(schema['items'])}"
        return str(schema.get("$ref", "")).rpartition("/")[2]

    def _bare(self, schema: Schema) -> Schema:
        """Without `or null`, and without the reference."""
        others = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
        return self.resolved(others[0]) if len(others) == 1 else self.resolved(schema)

    def _kind(self, said: Schema) -> str:
        if "enum" in said:
            name = self._word(said)
            return f"[{name}](#{name.lower()})" if name else "word"
        if "const" in said:
            return f"`{json.dumps(said['const'], ensure_ascii=False)}`"
        if "items" in said:
            return f"list of {self._kind(self._bare(said['items']))}"
        if "anyOf" in said:
            return " or ".join(dict.fromkeys(self._kind(self._bare(choice)) for choice in said["anyOf"]))
        if "properties" in said or said.get("type") == "object":
            return "object"
        return _FORMATS.get(said.get("format", ""), _NAMES.get(str(said.get("type")), "anything"))

    def _word(self, said: Schema) -> str:
        """The vocabulary that a list of words is; empty where a field lists its own."""
        title = str(said.get("title", ""))
        return title if self._components.get(title) == said else ""

    def _bounds(self, given: Schema, said: Schema) -> str:
        words = [_range(said, "minLength", "maxLength", "characters"), _range(said, "minItems", "maxItems", "items")]
        words.append(_limits(said))
        if said.get("pattern"):
            words.append(_PATTERNS.get(said["pattern"], f"`{said['pattern']}`"))
        if "items" in said:
            words.append(self._bounds({}, self._bare(said["items"])))
        if "enum" in said and not self._word(said):
            words.append(", ".join(f"`{word}`" for word in said["enum"]))
        if given.get("default") is not None:
            words.append(f"default `{json.dumps(given['default'], ensure_ascii=False)}`")
        return "; ".join(word for word in words if word)


def _about(given: Schema, said: Schema) -> str:
    text = given.get("description") or ("" if "enum" in said else said.get("description", ""))
    return " ".join(str(text).split())


def _range(said: Schema, least: str, most: str, unit: str) -> str:
    low, high = said.get(least), said.get(most)
    if low is not None and high is not None:
        return f"{low:,} to {high:,} {unit}"
    if high is not None:
        return f"at most {high:,} {unit}"
    return f"at least {low:,} {unit}" if low is not None else ""


def _limits(said: Schema) -> str:
    names = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    return " and ".join(f"{sign} {said[name]:,}" for name, sign in names.items() if name in said)
