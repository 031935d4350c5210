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
    """Puts into a document the examples of its service, and those of what every service answers alike.

    A problem that is told in the same words everywhere stands once, among the components.
    """
    stored = _stored(_OF_ALL)
    own: Mapping[str, Any] = stored["operations"] | _stored(service)["operations"]
    problems: Mapping[str, Any] = stored["problems"]
    shared = {_name(status): {"summary": said["title"], "value": said} for status, said in problems.items()}
    document.setdefault("components", {})["examples"] = shared
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            example = own.get(f"{method.upper()} {path}", {})
            _put_request(operation, example)
            for status, answer in operation["responses"].items():
                said = example.get("answers", {})
                if status in said:
                    _put_answer(answer, said[status], service)
                elif status in problems:
                    _refer(answer, status)


def _put_request(operation: dict[str, Any], example: Mapping[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.get("parameters", {}):
            parameter["example"] = example["parameters"][parameter["name"]]
    if "requestBody" in operation and "body" in example:
        operation["requestBody"]["content"][_BODY]["example"] = example["body"]


def _name(status: str) -> str:
    return f"problem_{status}"


def _refer(answer: dict[str, Any], status: str) -> None:
    for kind, said in answer.get("content", {}).items():
        if kind == PROBLEM_JSON:
            said["examples"] = {"usual": {"$ref": f"#/components/examples/{_name(status)}"}}


def _put_answer(answer: dict[str, Any], example: object, service: str) -> None:
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
