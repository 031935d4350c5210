"""Each service's OpenAPI document: stored as the service says it, valid, and with examples that fit."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from schemas.access import ACCESS
from services.cli.contracts import documents

SERVICES = Path(__file__).parents[2] / "services"
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_bytes()) for path in sorted((documents.FOLDER / "openapi").glob("*.json"))
}
OPERATIONS = [
    pytest.param(service, path, method, id=f"{method.upper()} /{service}{path}")
    for service, document in DOCUMENTS.items()
    for path, operations in document["paths"].items()
    for method in operations
]
JSON = "application/json"
each_operation = pytest.mark.parametrize(("service", "path", "method"), OPERATIONS)


def wrong(service: str, schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value by a schema of a service's document."""
    whole = {"allOf": [schema], "components": DOCUMENTS[service]["components"]}
    return [error.message for error in Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)]


def examples(service: str, content: Mapping[str, Any]) -> Iterator[Any]:
    """The examples of a body or answer, those included that stand among the components."""
    if "example" in content:
        yield content["example"]
    for said in content.get("examples", {}).values():
        yield DOCUMENTS[service]["components"]["examples"][said["$ref"].rpartition("/")[2]]["value"]


def test_there_is_a_document_for_each_service() -> None:
    """Every service of the table of access has a document, and no other."""
    assert set(DOCUMENTS) == set(ACCESS)


@pytest.mark.parametrize("service", DOCUMENTS)
def test_document_is_openapi(service: str) -> None:
    """A stored document is valid OpenAPI 3.1."""
    assert DOCUMENTS[service]["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(DOCUMENTS[service]).iter_errors()) == []


@each_operation
def test_request_has_an_example_that_fits(service: str, path: str, method: str) -> None:
    """An operation that takes a body shows one, each parameter that must be given too, and they fit their schemas."""
    operation = DOCUMENTS[service]["paths"][path][method]
    for parameter in operation.get("parameters", ()):
        assert "example" in parameter or not parameter.get("required"), parameter["name"]
        if "example" in parameter:
            assert wrong(service, parameter["schema"], parameter["example"]) == []
    if "requestBody" in operation:
        content = operation["requestBody"]["content"][JSON]
        assert wrong(service, content["schema"], content["example"]) == []


@each_operation
def test_every_answer_has_an_example_that_fits(service: str, path: str, method: str) -> None:
    """Each answer of an operation, problems included, shows an example that fits its schema."""
    for status, answer in DOCUMENTS[service]["paths"][path][method]["responses"].items():
        shown = [
            (content["schema"], example)
            for content in answer.get("content", {}).values()
            for example in examples(service, content)
        ]
        assert shown, status
        for schema, example in shown:
            assert wrong(service, schema, example) == [], status
            if isinstance(example, dict) and str(example.get("type")).startswith("urn:jubao:problem:"):
                assert str(example["status"]) == status


@pytest.mark.parametrize("service", DOCUMENTS)
def test_every_stored_example_is_shown(service: str) -> None:
    """No example is stored for an operation, a parameter or an answer that the service does not have."""
    stored = json.loads((SERVICES / service / "examples.json").read_bytes())["operations"]
    for name, example in stored.items():
        method, path = name.split(" ")
        operation = DOCUMENTS[service]["paths"][path][method.lower()]
        known = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert set(example.get("parameters", {})) <= known
        assert set(example["answers"]) <= set(operation["responses"])
        assert ("body" in example) == ("requestBody" in operation)


@each_operation
def test_page_tells_of_the_operation(service: str, path: str, method: str) -> None:
    """A service's page has a heading for each operation."""
    page = (documents.FOLDER / f"http-{service}.md").read_text("utf-8")
    assert f"\n## {method.upper()} /{service}{path}\n" in page
