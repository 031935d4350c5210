"""The OpenAPI document of one service: what its routes say, and what stands around every route alike."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from schemas.access import Rule
from services.runtime.exemplified import exemplify
from services.runtime.problems import PROBLEM_JSON

_BEARER: Final = "bearer"
_SIGNATURE: Final = "signature"
_SECURITY_SCHEMES: Final = {
    _BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the issuer; `role` in it says what it may do.",
    },
    _SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "An HTTP message signature (RFC 9421, Ed25519) by a key of a registered source, with "
        "Signature-Input beside it; it covers @method, @target-uri and, with a body, content-digest and content-type.",
    },
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Whole seconds after which the same request may be sent again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_WWW_AUTHENTICATE: Final = {
    "WWW-Authenticate": {"description": "Bearer or Signature.", "required": True, "schema": {"type": "string"}}
}
_HEADERS: Final[Mapping[int, Mapping[str, object]]] = {401: _WWW_AUTHENTICATE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}
_SAID: Final[Mapping[int, str]] = {
    401: "No token or signature, or one that does not hold",
    403: "The account or source may not do this",
    404: "There is no such thing, or it is not yours to know of",
    408: "The request came too slowly; the connection is closed",
    409: "It does not fit what is there",
    413: "The body is over 256 KiB",
    422: "The request does not fit; `errors` says what and where",
    429: "Too many calls of this caller or address",
    503: "Something this service stands on does not answer, or not in time; send the same request again",
}


class ErrorAt(BaseModel):
    """What is wrong with a request, and where."""

    loc: str
    msg: str


class ProblemDetails(BaseModel):
    """RFC 9457 problem details. A problem of one kind may have members of its own beside these."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="urn:jubao:problem:CODE; programs may test it.")
    title: str
    status: int
    detail: str = Field(description="One sentence for a person, which says what to do.")
    errors: list[ErrorAt] = Field([], description="Of a 422: at most twenty.")


def document(app: FastAPI, included: Sequence[APIRouter], rules: Sequence[Rule]) -> dict[str, Any]:
    """The document of a service; made once.

    Args:
        app: with title and version.
        included: its routers. An app's own list of routes shows each as one entry, so they are asked themselves.
        rules: who may call what.
    """
    if app.openapi_schema is not None:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    ruled = {(rule.method, rule.path): rule for rule in rules}
    models: list[type[BaseModel]] = [ProblemDetails]
    for route, method in _operations(included):
        operation = made["paths"][route.path_format][method.lower()]
        model = _body_model(route)
        if model is not None:
            models.append(model)
            content = {"application/json": {"schema": _reference(model)}}
            operation["requestBody"] = {"required": True, "content": content}
        rule = ruled[method, route.path_format]
        _say_access(operation, rule)
        _say_problems(operation, _statuses(operation, rule))
    _, definitions = models_json_schema(
        [(m, "validation") for m in dict.fromkeys(models)], ref_template="#/components/schemas/{model}"
    )
    components = made.setdefault("components", {})
    components["securitySchemes"] = _SECURITY_SCHEMES
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas.update(definitions.get("$defs", {}))
    made["servers"] = [{"url": f"/{app.state.service}"}]
    exemplify(made, app.state.service)
    app.openapi_schema = made
    return made


def _operations(included: Sequence[APIRouter]) -> Iterator[tuple[APIRoute, str]]:
    for router in included:
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield from ((route, method) for method in sorted(route.methods or ()))


def _say_access(operation: dict[str, Any], rule: Rule) -> None:
    """Who may call it, as schemes that programs test and as a sentence that people read."""
    schemes = ([_BEARER] if rule.roles else []) + ([_SIGNATURE] if rule.signed else [])
    operation["security"] = [{scheme: []} for scheme in schemes]
    told = f"Roles: {', '.join(rule.roles)}." if rule.roles else "Open to everybody."
    told += " Or signed by a source." if rule.signed else ""
    operation["description"] = "\n\n".join(filter(None, [operation.get("description"), told]))


def _statuses(operation: Mapping[str, Any], rule: Rule) -> set[int]:
    """The problems that an operation may answer, beside those that its route names itself."""
    takes = operation.get("parameters") or "requestBody" in operation
    statuses = {429}
    statuses |= set() if rule.is_open else {401, 403, 503}
    statuses |= {422} if takes else set()
    statuses |= {408, 413} if "requestBody" in operation else set()
    statuses |= {404} if any(p["in"] == "path" for p in operation.get("parameters", ())) else set()
    return statuses


def _say_problems(operation: dict[str, Any], statuses: set[int]) -> None:
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    named = {int(status) for status in responses if int(status) >= HTTPStatus.BAD_REQUEST}
    for status in sorted(statuses | named):
        said = responses.get(str(status), {})
        responses[str(status)] = {
            "description": _SAID.get(status) or said.get("description") or HTTPStatus(status).phrase,
            "content": said.get("content") or {PROBLEM_JSON: {"schema": _reference(ProblemDetails)}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
    operation["responses"] = dict(sorted(responses.items()))


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _body_model(route: APIRoute) -> type[BaseModel] | None:
    for dependant in route.dependant.dependencies:
        model = getattr(dependant.call, "body_model", None)
        if model is not None:
            return model  # type: ignore[no-any-return] # set by `body`
    return None
