"""Errors that reach a caller: RFC 9457 problem details. What a person reads says what to do next."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.types import Send

PROBLEM_JSON: Final = "application/problem+json"


class Problem(Exception):
    """A refusal with a status, a code that programs may test and a sentence that people may read.

    `extra` goes into the answer beside the standard members; it must not echo what the caller sent.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, object]:
        """The problem as the JSON object of RFC 9457."""
        return {
            "type": f"urn:jubao:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


class Unprocessable(Problem):
    """A request that was understood but does not fit; each error names its place and what is wrong there."""

    def __init__(self, errors: Sequence[Mapping[str, object]]) -> None:
        first = f"{errors[0]['loc']}: {errors[0]['msg']}" if errors else "the request does not fit"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(422, "unprocessable", "The request does not fit", f"{first}{more}", extra={"errors": errors})


class BodyTooLarge(Problem):
    """A body over the bound; it is not read to its end."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            413,
            "body_too_large",
            "The body is too large",
            f"A body may hold {most_bytes} bytes; send a shorter one.",
            headers={"Connection": "close"},
            extra={"most_bytes": most_bytes},
        )


class BodyTooSlow(Problem):
    """A body that did not come to its end in time."""

    def __init__(self, most_seconds: float) -> None:
        super().__init__(
            408,
            "body_too_slow",
            "The body came too slowly",
            f"A body must be sent within {most_seconds:g} s; send the request again over a connection that takes it.",
            headers={"Connection": "close"},
        )


class Unavailable(Problem):
    """Something this service stands on does not answer; the same request may succeed later."""

    def __init__(self, what: str, retry_after_seconds: int = 2) -> None:
        super().__init__(
            503,
            "unavailable",
            f"{what} does not answer",
            f"{what} does not answer at the moment; send the same request again in {retry_after_seconds} s.",
            headers={"Retry-After": str(retry_after_seconds)},
        )
        self.what = what


class DatabaseAway(Unavailable):
    """PostgreSQL cannot be reached, is full, or is shutting down."""

    def __init__(self) -> None:
        super().__init__("The database")


class BrokerAway(Unavailable):
    """Kafka did not acknowledge in time; what was sent may still arrive, so a repeat must carry the same id."""

    def __init__(self) -> None:
        super().__init__("The broker")


async def send_problem(send: Send, problem: Problem) -> None:
    """Answers a request from outside a service's routes, and ends its connection: what is left of it is not read."""
    document = json.dumps(problem.document(), ensure_ascii=False).encode()
    headers = {
        "content-type": PROBLEM_JSON,
        "content-length": str(len(document)),
        "connection": "close",
        **problem.headers,
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": document})
