"""The stored examples, and validators made of the stored JSON Schemas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture
def example() -> Callable[[str, str], dict[str, Any]]:
    """A stored example by event and name, as the object it holds; each call gives a fresh one."""

    def load(event: str, name: str) -> dict[str, Any]:
        path = SCHEMAS / "examples" / event / "v1" / f"{name}.json"
        loaded: dict[str, Any] = json.loads(path.read_bytes())
        return loaded

    return load


@pytest.fixture(scope="session")
def validator() -> Callable[[str], Draft202012Validator]:
    """A validator of a stored schema by the schema's file name without its ending."""

    def make(name: str) -> Draft202012Validator:
        schema = json.loads((SCHEMAS / "json" / f"{name}.schema.json").read_bytes())
        return Draft202012Validator(schema, format_checker=FormatChecker())

    return make
