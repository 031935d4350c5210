"""Requests that no honest program sends, as bytes on a socket: what a description-led test tool cannot send.

Every request is drawn from one seeded source of randomness, so that a failure can be had again.
"""

import json
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.access import ACCESS, Rule

# The most that is read of an answer.
MOST_BYTES = 1 << 20

METHODS = ("HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "M-SEARCH", "QUERY")
SEGMENTS = (
    "%00", "a%00b", "%ff%fe", "%F0%9F%92%A9", "..%2f..%2f", "%2e%2e", "%", "%u1234", "%0d%0aX:%20y", "'", '"',
    "%20", "-1", "0",
    "99999999999", "99999999999999999999999999999", "1e9", "NaN", "%D9%A3", "a" * 300, "reports.public.v1", "null",
    "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}",
    "urn:uuid:00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000", ";a=b", "*", "%EF%BF%BE",
)  # fmt: skip
NAMES = (
    "cursor", "limit", "class", "state", "queue", "content_id", "type", "report_id", "case_id", "source_id", "actor",
    "from", "to", "event_id", "source", "size", "", "%00", "%ff", "x" * 200,
)  # fmt: skip
VALUES = (
    *SEGMENTS, "", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59.999999-14:00",
    "2026-02-30T00:00:00Z", "2026-11-23T08:00:00.1234567890123Z", "2026-11-23T25:61:61Z", "P0", "queued", "AAAA",
    "true", "[]", "%E2%80%AE", "%ED%A0%80", "=" * 50, "a" * 3_000,
)  # fmt: skip
SIGNATURES = (
    b"sig1=:AAAA:", b"\xff\xfe", b"sig1=()", b"", b"sig1", b"a=:AA==:, a=:AA==:", b"=:=",
    b"sig1=:" + b"A" * 5_000 + b":",
    b"sig1=?1", b'sig1="\xe4"', b'sig1=:AA==:;x=%""',
)  # fmt: skip
INPUTS = (
    b'sig1=("@method" "@target-uri");created=%d;nonce="12345678";keyid="k"' % 10**14,
    b'sig1=("@method" "@target-uri");created=999999999999999;nonce="12345678";keyid="k"',
    b'sig1=("@method" "@target-uri");created=-1;nonce="12345678";keyid="k"',
    b'sig1=("@method" "@target-uri" "content-digest" "content-type");created=NOW;nonce="12345678";keyid="k"',
    b'sig1=("@method" "@target-uri" "content-digest" "content-type");created=NOW;nonce="12345678";keyid="k";alg="none"',
    b'sig1=("@method";req "@query-param";name="x");created=NOW;nonce="12345678";keyid="k"',
    b'sig1=("@status" "@method" "@target-uri");created=NOW;nonce="12345678";keyid="k"',
    b'sig1=("@method" "@target-uri");created=NOW.5;expires=1;nonce=:AAAA:;keyid=tok',
    b'sig1=("@method" "@target-uri");created=NOW;nonce="12345678";keyid=%"caf%c3%a9"',
    b"sig1=" + b"(" * 500, b"\x80", b"sig1", b"sig1=()", b'sig1=("a" "a");created=NOW', b"",
)  # fmt: skip
TOKENS = (
    b"", b"Bearer", b"Bearer ", b"bearer x.y.z", b"Basic YTpi", b"Bearer \xe4\xb8\xad\xff", b"Bearer e30.e30.",
    b"Bearer W10.W10.AA",
    b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", b"Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6MX0.e30.AAAA",
    b"Bearer bnVsbA.e30.AA",
    b"Bearer eyJhbGciOiJFZDI1NTE5Iiwia2lkIjp7fX0.e30.AA", b"Bearer eyJhbGciOlsiRWREU0EiXX0.e30.AA", b"Bearer ....",
    b"Bearer eyJhbGciOiJFZERTQSIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.e30.AA", b"Bearer " + b"a" * 9_000,
    b"Bearer a b c",
)  # fmt: skip
HEADERS: Sequence[tuple[bytes, Sequence[bytes]]] = (
    (b"Idempotency-Key", (b"", b"\xff", b"k" * 5_000, b"a\tb", b"\xe4\xb8\xad", b'"', b" x ")),
    (
        b"Content-Type",
        (b"", b"text/xml", b"application/json; charset=utf-16", b"multipart/form-data; boundary=", b"\xff"),
    ),
    (b"Content-Encoding", (b"gzip", b"br, deflate", b"\xff")),
    (b"traceparent", (b"", b"00-0-0-00", b"\xff" * 20, b"a" * 4_000, b"00-" + b"f" * 32 + b"-" + b"f" * 16 + b"-01")),
    (b"Accept", (b"text/html;q=x", b"\xff", b"*/*;q=99999999999")),
    (b"Range", (b"bytes=0-0", b"bytes=-", b"pages=1")),
    (b"If-None-Match", (b"*", b'W/"\xff"')),
    (b"X-Forwarded-For", (b"\xff", b"1.2.3.4, ::, unknown", b"a" * 2_000)),
    (b"Forwarded", (b"for=_x;host=\xff",)),
    (b"Host", (b"", b"\xff", b"example.org:99999", b"a/b@c")),
    (b"Cookie", (b"a=\xff; =; ;;",)),
    (b"Upgrade", (b"websocket", b"h2c")),
    (b"Connection", (b"upgrade", b"close, \xff", b"keep-alive, upgrade")),
    (b"Expect", (b"100-continue", b"200-maybe")),
    (b"Content-Digest", (b"sha-256=:AAAA:", b"\xff", b"sha-512=()", b"md5=:AA==:")),
    (b"Authorization", TOKENS),
    (b"Signature", SIGNATURES),
    (b"Signature-Input", INPUTS),
)
BODIES = (
    b"", b"null", b"[]", b"{}", b"0", b'""', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"[" * 50_000,
    b'{"a":' * 3_000,
    b'{"max": 1e400}', b'{"max": 99999999999999999999999}', b'{"max": NaN}', b'{"max": -0.0}', b'{"max": true}',
    b"{}" * 3,
    b'{"queues": ["\\ud800"]}', b'{"queues": ["a\\u0000"]}', b'{"\\u0000": 1}', b'{"": {}}', b'{"__proto__": {}}',
    b'{"lease": "00000000-0000-0000-0000-000000000000", "verdict": "illegal"}', b"-", b"tru",
    b'{"a": "\xed\xa0\x80"}',
    b'{"letters": [{"topic": "a", "partition": 9999999999, "offset": -1}]}', b'{"until": "0000-01-01T00:00:00Z"}',
    b'{"until": "9999-12-31T23:59:59.999999-23:59"}', b'{"after": {"topic": "\\u0000", "partition": 1, "offset": 1}}',
    b'{"public_key": "-----BEGIN PUBLIC KEY-----\\n\\u0000"}', b'{"public_key": "ssh-ed25519 AAAA"}',
    b'{"name": "\\ud83d"}',
    json.dumps({str(n): n for n in range(20_000)}).encode(), b'"' + b"x" * 200_000 + b'"', b"x" * 300_000,
)  # fmt: skip


@dataclass(frozen=True)
class Weird:
    """One request, and how to have it again."""

    sent: bytes
    method: str

    def __repr__(self) -> str:
        return repr(self.sent[:1_500])


def requests(seed: int, count: int, token_of: dict[str, str], now: int) -> list[Weird]:
    """Requests on routes of all services, most of them with a token that lets them in.

    Args:
        seed: of all that is drawn.
        count: how many.
        token_of: a bearer token of each role.
        now: seconds since 1970, for signatures that are not refused for their age alone.
    """
    drawn = random.Random(seed)
    routes = [(service, rule) for service, rules in ACCESS.items() for rule in rules]
    return [_request(drawn, *routes[n % len(routes)], token_of, now) for n in range(count)]


def _request(drawn: random.Random, service: str, rule: Rule, token_of: dict[str, str], now: int) -> Weird:
    method = drawn.choice(METHODS) if drawn.random() < 0.15 else rule.method
    path = "/".join(
        drawn.choice(SEGMENTS) if segment.startswith("{") or drawn.random() < 0.03 else segment
        for segment in rule.path.split("/")
    )
    pairs = [f"{drawn.choice(NAMES)}={drawn.choice(VALUES)}" for _ in range(drawn.choice((0, 0, 1, 2, 4)))]
    target = f"/{service}{path}" + ("?" + "&".join(pairs) if pairs else "")
    fields = [(b"Host", b"test")]
    if rule.roles and drawn.random() < 0.8:
        fields.append((b"Authorization", b"Bearer " + token_of[drawn.choice(rule.roles)].encode()))
    for name, values in drawn.sample(HEADERS, drawn.choice((0, 1, 1, 2, 4))):
        fields.append((name, drawn.choice(values).replace(b"NOW", str(now).encode())))
    body = drawn.choice(BODIES) if rule.method == "POST" or drawn.random() < 0.1 else b""
    if body and drawn.random() < 0.3:
        fields.append((b"Transfer-Encoding", b"chunked"))
        size = drawn.choice((1, 7, 4_096)) if len(body) < 5_000 else 65_536
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: \xff\r\n\r\n"
    elif body or drawn.random() < 0.1:
        fields.append((b"Content-Length", str(len(body)).encode()))
    fields.append((b"Connection", b"close"))
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    return Weird(f"{method} {target} HTTP/1.1\r\n".encode() + head + b"\r\n" + body, method)


def answered(port: int, weird: Weird, seconds: float) -> bytes:
    """What comes back until the other side hangs up, or enough of it: an export may be as long as the log."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        try:
            line.sendall(weird.sent)
            while len(received) < MOST_BYTES and (piece := line.recv(65_536)):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            return received
    return received
