"""docs/contracts/http-<service>.md: every call of a service, read off its OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from services.cli.contracts import markdown
from services.cli.contracts.fields import Fields
from services.cli.contracts.markdown import UP

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_ABOUT: Final = """\
Written by `python -m services.cli.contracts` from what the service says at `/{service}/openapi.json`
([{service}.json](openapi/{service}.json)). Addresses are under the one origin of a stack. Problems that are told in the
same words everywhere: [problems.md](problems.md). What the words mean, in English and Chinese:
[events.md](events.md#words). How to send a report, with code that runs: [producers.md]({up}/producers.md)."""
_PROBLEMS_ABOUT: Final = """\
# Problems

Written by `python -m services.cli.contracts`; the calls are in the [other pages](README.md). Every refusal over HTTP is
an RFC 9457 problem, with the content type `application/problem+json`. Programs test `type`, people read `detail`, which
says what to do; no problem repeats what the caller sent."""


def http_page(service: str, document: Mapping[str, Any]) -> str:
    """The page of a service."""
    components = document["components"]["schemas"]
    reader = Fields(components)
    calls = [
        (f"{method.upper()} /{service}{path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    ]
    return markdown.page(
        [
            f"# {document['info']['title']} over HTTP",
            _ABOUT.format(service=service, up=UP),
            "| Call | |\n| --- | --- |\n"
            + "\n".join(f"| [`{call}`](#{_anchor(call)}) | {said.get('summary', '')} |" for call, said in calls),
            *(part for call, operation in calls for part in _call(call, operation, reader)),
            *_vocabulary(document, components),
        ]
    )


def problems_page(document: Mapping[str, Any]) -> str:
    """The page of what every service refuses alike, read off any service's document."""
    components = document["components"]
    reader = Fields(components["schemas"])
    parts = [_PROBLEMS_ABOUT, markdown.fields(reader.rows(components["schemas"]["ProblemDetails"]))]
    for name, example in sorted(components["examples"].items()):
        parts += [f"## {name.rpartition('_')[2]} {example['summary']}", markdown.shown_json(example["value"])]
    return markdown.page(parts)


def _anchor(call: str) -> str:
    """The anchor that GitHub gives a heading: lower case, spaces as hyphens, other signs gone."""
    kept = "".join(letter for letter in call.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _call(call: str, operation: Mapping[str, Any], reader: Fields) -> Iterator[str]:
    yield f"## {call}"
    yield f"{operation.get('summary', '')}. {operation.get('description', '')}".strip()
    parameters = operation.get("parameters", ())
    if parameters:
        yield markdown.table(
            ("Parameter", "In", "Type", "Required", "Bounds", "Meaning"),
            (_parameter(given, reader) for given in parameters),
        )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        yield "Body:"
        yield markdown.fields(reader.rows(body["schema"]))
        if "example" in body:
            yield markdown.folded("Example of a body", markdown.shown_json(body["example"]))
    yield markdown.table(
        ("Answer", "Means", "Body"), (_answer(s, a, reader) for s, a in operation["responses"].items())
    )
    for status, answer in operation["responses"].items():
        yield from _answer_in_full(status, answer, reader)


def _parameter(given: Mapping[str, Any], reader: Fields) -> tuple[str, ...]:
    schema = {"properties": {given["name"]: given["schema"]}}
    row = next(reader.rows(schema))
    about = given.get("description") or row.about
    example = f" Example: `{given['example']}`." if "example" in given else ""
    return (
        f"`{row.place}`",
        given["in"],
        row.kind,
        "yes" if given.get("required") else "",
        row.bounds,
        about + example,
    )


def _answer(status: str, answer: Mapping[str, Any], reader: Fields) -> tuple[str, ...]:
    kinds = ", ".join(
        f"{reader.name(said.get('schema', {}))} `{kind}`" for kind, said in answer.get("content", {}).items()
    )
    return (status, answer["description"], kinds.strip())


def _answer_in_full(status: str, answer: Mapping[str, Any], reader: Fields) -> Iterator[str]:
    """The fields of an answer that is no problem, and the examples of all."""
    for kind, said in answer.get("content", {}).items():
        if int(status) < HTTPStatus.BAD_REQUEST and kind == "application/json":
            rows = list(reader.rows(reader.item(said["schema"])))
            if rows:
                yield markdown.folded(f"Fields of {status}", markdown.fields(rows))
        if "example" in said:
            shown = said["example"]
            text = markdown.shown_json(shown) if not isinstance(shown, str) else markdown.code(shown.strip(), "text")
            yield markdown.folded(f"Example of {status}", text)


def _vocabulary(document: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[str]:
    """The words that the page's fields refer to, with their values; their sentences stand with the events."""
    text = json.dumps(document)
    words = {name: said["enum"] for name, said in components.items() if "enum" in said and f'schemas/{name}"' in text}
    if words:
        yield "## Words of this page"
    for name, values in sorted(words.items()):
        yield f"### {name}"
        yield ", ".join(f"`{value}`" for value in values)
