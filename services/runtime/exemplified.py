"""Examples in a service's OpenAPI document: read from `examples.json` beside its code, and put where readers look.

The file is data, so that a test can send each request as it stands and hold each answer to what really comes back.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from services.runtime.problems import PROBLEM_JSON

_OF_ALL: Final = "runtime"
_BODY: Final = "application/json"


def exemplify(document: dict[str, Any], service: str) -> None:
    """Puts into a document the examples of its service, and those of what every service answers alike."""
    stored = _stored(_OF_ALL)
    own: Mapping[str, Any] = stored["operations"] | _stored(service)["operations"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            example = own.get(f"{method.upper()} {path}", {})
            _put_request(operation, example)
            for status, answer in operation["responses"].items():
                said = example.get("answers", {})
                _put_answer(answer, said[status] if status in said else stored["problems"].get(status), service)


def _put_request(operation: dict[str, Any], example: Mapping[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.get("parameters", {}):
            parameter["example"] = example["parameters"][parameter["name"]]
    if "requestBody" in operation and "body" in example:
        operation["requestBody"]["content"][_BODY]["example"] = example["body"]


def _put_answer(answer: dict[str, Any], example: object, service: str) -> None:
    if example is None:
        return
    for kind, said in answer.get("content", {}).items():
        is_problem = isinstance(example, Mapping) and str(example.get("type")).startswith("urn:jubao:problem:")
        if (kind == PROBLEM_JSON) == is_problem:
            said["example"] = _of_service(example, service)


def _of_service(example: object, service: str) -> object:
    """An example that stands for all services names the one that is asked."""
    if isinstance(example, Mapping) and example.get("service") == "":
        return {**example, "service": service}
    return example


@cache
def _stored(package: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(f"services.{package}").joinpath("examples.json").read_bytes())
    return found
