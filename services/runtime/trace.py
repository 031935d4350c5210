"""W3C trace context across Kafka: one trace follows a report from the caller's request to its outcome.

https://www.w3.org/TR/trace-context/. Only the identifiers travel; spans are left to a collector's own instrumentation.
"""

import random
import re
from collections.abc import Iterable

HEADER = "traceparent"
_FORM = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def continued(traceparent: bytes | None) -> bytes:
    """A `traceparent` for the next hop: same trace, a new span; a new trace where there was none or a malformed one."""
    match = _FORM.fullmatch(traceparent or b"")
    trace, flags = (match[1], match[3]) if match else (b"%032x" % _drawn(128), b"01")
    return b"00-%b-%016x-%b" % (trace, _drawn(64), flags)


def _drawn(bits: int) -> int:
    """An identifier, which W3C wants not to be zero. It hides nothing, so it needs no system call for each record."""
    return random.getrandbits(bits) or 1


def of_headers(headers: Iterable[tuple[str, bytes]]) -> bytes | None:
    """The first `traceparent` among Kafka headers."""
    return next((value for name, value in headers if name == HEADER), None)
