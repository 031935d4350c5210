"""HTTP message signatures (RFC 9421) with Ed25519: what a signed call must cover, its verification and its making.

The library resolves components and builds the bytes that are signed. What it leaves to its caller is decided here:
which components count, that the body's digest is always compared with the body, and how old a signature may be. That a
nonce is taken once is the business of whoever stores the call.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast
from urllib.parse import quote, urlsplit

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    MappingKeyResolver,
    algorithms,
)
from starlette.requests import Request

from services.runtime.clock import Clock, SystemClock
from services.runtime.problems import Problem

WINDOW_SECONDS: Final = 300
"""How far `created` may lie from our clock, either way."""

NONCE_LENGTHS: Final = range(8, 129)
_KEY_ID_LENGTHS: Final = range(1, 201)
_WITHOUT_BODY: Final = ("@method", "@target-uri")
_WITH_BODY: Final = (*_WITHOUT_BODY, "content-digest", "content-type")
# A signature is 88 characters of base64; its input names components and six parameters. No honest one comes near this.
_MOST_HEADER_CHARACTERS: Final = 4_096

Resolve = Callable[[str], Awaitable[Ed25519PublicKey | None]]


class SignatureRefused(Problem):
    """A call that had to be signed is not, or not so that it proves who sent these bytes here and now.

    The text names what is wrong and what to do; it never repeats what the caller sent.
    """

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(
            401,
            "signature_refused",
            "The signature was not accepted",
            f"The signature was not accepted: {wrong}; {remedy}.",
            headers={"WWW-Authenticate": "Signature"},
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """What a verified signature says of itself."""

    key_id: str
    nonce: str
    created: datetime


class _Fields:
    """Header field lines in their order, repeated ones apart, as the library wants them."""

    def __init__(self, lines: Iterable[tuple[bytes, bytes]]) -> None:
        self._lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines]

    def items(self) -> list[tuple[str, str]]:
        return self._lines

    def combined(self, name: str) -> str:
        """The field's lines as one value (RFC 9110, 5.2), empty when there is none."""
        return ", ".join(value for line, value in self._lines if line.lower() == name)


@dataclass(frozen=True, slots=True)
class _Received:
    """A request as the library's resolver reads it."""

    method: str
    url: str
    headers: _Fields


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request that is being signed; the library writes its header fields into `headers`."""

    method: str
    url: str
    headers: dict[str, str]


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its view of time, which is the machine's and forgives the future 5 s only."""

    def validate_created_and_expires(self, sig_input: object, max_age: object = None) -> None:
        """Does nothing: `_terms` has judged both by the injected clock before a key was looked up."""


async def verify(request: Request, *, resolve: Resolve, public_url: str, clock: Clock) -> Signed:
    """Proves that the holder of a key sent this method, target and body within the last minutes.

    Args:
        request: the call; its body is read whole, so a limit must stand before this.
        resolve: the public key of a key id, or none. Whether the key may do anything is for the caller to judge after
            this, so that only its holder learns of a suspension.
        public_url: what callers believe our origin to be; the request's own Host is never believed.
        clock: what `created` and `expires` are compared with.

    Raises:
        SignatureRefused: no signature, several, a stale or malformed one, an unknown key, or other bytes than signed.
    """
    body = await request.body()
    required = _WITH_BODY if body else _WITHOUT_BODY
    fields = _Fields(request.headers.raw)
    signed = _terms(fields, required, clock.now())
    key = await resolve(signed.key_id)
    if key is None:
        raise SignatureRefused("its keyid names no key that is known here", "use the key id given at registration")
    origin = origin_of(public_url)
    message = _Received(request.method.upper(), origin + _target(request), fields)
    verifier = _Verifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={signed.key_id: key}, private_keys={}),
    )
    try:
        results = verifier.verify(message, max_age=None, require_components=required)
    except HTTPMessageSignaturesException as refused:
        raise SignatureRefused(
            "it does not fit this request and the key it names",
            f"sign method, target and header fields exactly as they are sent, the target with the origin {origin}",
        ) from refused
    try:
        verifier.verify_body(message, results, body)
    except HTTPMessageSignaturesException as refused:
        raise SignatureRefused(
            "content-digest is not that of the body",
            "give the sha-256 or sha-512 of the exact bytes of the body, and no other digest",
        ) from refused
    return signed


def sign(  # noqa: PLR0917 -- in the order in which a request is put together
    method: str,
    url: str,
    body: bytes,
    content_type: str,
    key: Ed25519PrivateKey,
    key_id: str,
    *,
    nonce: str | None = None,
    created: datetime | None = None,
) -> dict[str, str]:
    """The header fields that make a call a signed one, by their names in lower case.

    Args:
        method: in capitals.
        url: the absolute address the call goes to; the answering side compares it with its public address.
        body: the exact bytes that will be sent; empty for none.
        content_type: of the body; not used without one.
        key: the caller's private key.
        key_id: the name the answering side knows the public key by.
        nonce: 8 to 128 printable ASCII characters, new for each call unless the call is a repeat.
        created: when the signature was made; now unless told.
    """
    message = _Sent(method, url, {"content-type": content_type} if body else {})
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key_id: key}),
    )
    signer.sign(
        message,
        key_id=key_id,
        created=created or SystemClock().now(),
        nonce=nonce or secrets.token_urlsafe(18),
        label="sig1",
        covered_component_ids=_WITH_BODY if body else _WITHOUT_BODY,
        body=body or None,
    )
    return {name.lower(): value for name, value in message.headers.items()}


def origin_of(url: str) -> str:
    """Scheme and authority of an address as they are written: `https://example.org:8443`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _target(request: Request) -> str:
    """Path and query as the caller wrote them: an unquoted and quoted again path is not always the one signed."""
    raw_path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    query: bytes = request.scope.get("query_string", b"")
    target = raw_path + (b"?" + query if query else b"")
    return target.decode("latin-1")


def _terms(fields: _Fields, required: tuple[str, ...], now: datetime) -> Signed:
    """Reads what the one signature covers and says of itself, and judges all that needs no key."""
    inputs = _dictionary(fields, "signature-input")
    if inputs.keys() != _dictionary(fields, "signature").keys():
        raise SignatureRefused("Signature-Input and Signature carry different labels", "give both the same one label")
    if len(inputs) != 1:
        raise SignatureRefused("it is not the only one", "send exactly one signature with a request")
    member, parameters = next(iter(inputs.values()))
    if not isinstance(member, list):
        raise SignatureRefused("Signature-Input lists no components", "list them in parentheses, as RFC 9421 shows")
    plain = {name for name, options in member if isinstance(name, str) and not options}
    if missing := [name for name in required if name not in plain]:
        raise SignatureRefused(f"it does not cover {', '.join(missing)}", f"cover {', '.join(required)}")
    if parameters.get("alg", "ed25519") != "ed25519":
        raise SignatureRefused(
            "alg is another than ed25519", "sign with an Ed25519 key and leave alg out or give it so"
        )
    created = _moment(parameters, now)
    return Signed(
        key_id=_text(parameters, "keyid", _KEY_ID_LENGTHS), nonce=_text(parameters, "nonce", NONCE_LENGTHS),
        created=created,
    )  # fmt: skip


def _dictionary(fields: _Fields, name: str) -> Mapping[str, tuple[object, Mapping[str, object]]]:
    value = fields.combined(name)
    title = name.title()
    if not value:
        raise SignatureRefused(f"the header field {title} is missing", "sign the request as RFC 9421 describes")
    if len(value) > _MOST_HEADER_CHARACTERS:
        raise SignatureRefused(f"{title} is too long", f"keep it under {_MOST_HEADER_CHARACTERS} characters")
    try:
        # A label given twice would let two readers choose two signatures.
        parsed = http_sf.parse(value.encode(), tltype="dictionary", on_duplicate_key=_refuse_twice)
    except ValueError as malformed:
        raise SignatureRefused(
            f"{title} is not a structured dictionary", "write it as RFC 9421 and RFC 8941 describe"
        ) from malformed
    if not isinstance(parsed, dict):
        raise SignatureRefused(f"{title} is not a structured dictionary", "write it as RFC 9421 and RFC 8941 describe")
    # Every member is a pair of its value and its parameters; the library's type allows for lists and items as well.
    return cast("Mapping[str, tuple[object, Mapping[str, object]]]", parsed)


def _refuse_twice(_key: str, context: str) -> None:
    if context == "dictionary":
        raise SignatureRefused("a label occurs twice", "give the one signature one label")


def _moment(parameters: Mapping[str, object], now: datetime) -> datetime:
    """`created`, if the signature counts now. Compared as numbers: some fifteen-digit ones are no date at all."""
    seconds, created, expires = now.timestamp(), parameters.get("created"), parameters.get("expires")
    if type(created) is not int:
        raise SignatureRefused("the parameter created is missing or no whole number", "give it in seconds since 1970")
    if abs(seconds - created) > WINDOW_SECONDS:
        raise SignatureRefused(
            f"created is more than {WINDOW_SECONDS} s from this server's time ({int(seconds)})",
            "set the clock right and sign again",
        )
    if "expires" in parameters and (type(expires) is not int or expires < seconds):
        raise SignatureRefused("it has expired", "sign again")
    return datetime.fromtimestamp(created, UTC)


def _text(parameters: Mapping[str, object], name: str, lengths: range) -> str:
    value = parameters.get(name)
    # Not isinstance: a display string is a str too, and may hold what no column takes.
    if type(value) is not str or len(value) not in lengths:
        raise SignatureRefused(
            f"the parameter {name} is missing or of another form",
            f"give it as a string of {lengths.start} to {lengths.stop - 1} characters",
        )
    return value
