"""RFC 9421 signatures as `services.runtime.signature` asks for them."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import ContentDigest, HTTPMessageSigner, MappingKeyResolver, algorithms
from starlette.requests import Request

from services.runtime.clock import SetClock
from services.runtime.signature import SignatureRefused, Signed, sign, verify

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ORIGIN = "https://reports.example.org"
URL = f"{ORIGIN}/intake/v1/flagged-reports?source=a%2Fb"
BODY = json.dumps({"explanation": "涉嫌诈骗"}, ensure_ascii=False).encode()
JSON = "application/json"
KEY = Ed25519PrivateKey.generate()
KEY_ID = "src-0123456789abcdef"
NONCE = "nonce-0000000001"


@dataclass
class Call:
    """A request on its way to us."""

    headers: dict[str, str]
    method: str = "POST"
    path: bytes = b"/intake/v1/flagged-reports"
    query: bytes = b"source=a%2Fb"
    body: bytes = BODY
    more_headers: Sequence[tuple[bytes, bytes]] = ()
    asked: list[str] = field(default_factory=list)

    def request(self) -> Request:
        """It as the web server hands it on, behind a Host that lies."""
        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        scope = {
            "type": "http", "method": self.method, "path": "/not/what/was/signed", "raw_path": self.path,
            "query_string": self.query, "headers": [(b"host", b"evil.example"), *lines, *self.more_headers],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": self.body, "more_body": False}

        return Request(scope, receive)

    async def verified(self, *, now: datetime = NOW, public_url: str = f"{ORIGIN}/") -> Signed:
        """What the verification makes of it."""

        async def resolve(key_id: str) -> Ed25519PublicKey | None:
            self.asked.append(key_id)
            return KEY.public_key() if key_id == KEY_ID else None

        return await verify(self.request(), resolve=resolve, public_url=public_url, clock=SetClock(now))


def signed_call(**changes: Any) -> Call:
    given = {"key": KEY, "key_id": KEY_ID, "nonce": NONCE, "created": NOW} | changes
    return Call(sign("POST", URL, BODY, JSON, **given))


class AnyDigest(ContentDigest):
    """Lets the library sign a digest field that it would refuse to sign."""

    @classmethod
    def prepare(cls, *_: object, **__: object) -> None:
        """Leaves the field as it is."""


def by_the_library(
    components: Sequence[str] = ("@method", "@target-uri", "content-digest", "content-type"),
    *,
    algorithm: Any = algorithms.ED25519,
    key: Any = KEY,
    headers: dict[str, str] | None = None,
    **parameters: Any,
) -> Call:
    """A call signed by the library itself, with whatever a caller may choose."""

    @dataclass
    class Sent:
        method: str
        url: str
        headers: dict[str, str]

    digest = b64encode(hashlib.sha512(BODY).digest()).decode()
    sent = Sent("POST", URL, headers or {"Content-Type": JSON, "Content-Digest": f"sha-512=:{digest}:"})
    signer = HTTPMessageSigner(
        signature_algorithm=algorithm, key_resolver=MappingKeyResolver(public_keys={}, private_keys={KEY_ID: key})
    )
    given = {"key_id": KEY_ID, "nonce": NONCE, "created": NOW} | parameters
    signer.content_digest_class = AnyDigest
    signer.sign(sent, covered_component_ids=components, **given)
    return Call({name.lower(): value for name, value in sent.headers.items()})


async def refusal(call: Call, **changes: Any) -> str:
    with pytest.raises(SignatureRefused) as refused:
        await call.verified(**changes)
    assert refused.value.status == 401
    assert refused.value.code == "signature_refused"
    assert refused.value.headers["WWW-Authenticate"]
    return refused.value.detail


async def test_what_we_sign_verifies() -> None:
    """A call signed here is told by its key id, nonce and time."""
    assert await signed_call().verified() == Signed(KEY_ID, NONCE, NOW)


async def test_other_signers_verify() -> None:
    """The library's own signer, with sha-512, more components, a tag and no alg, is understood."""
    call = by_the_library(
        ("@method", "@authority", "@target-uri", "content-type", "content-digest", "@query"),
        tag="report", include_alg=False, expires=NOW + timedelta(seconds=60),
    )  # fmt: skip
    assert (await call.verified()).key_id == KEY_ID


async def test_a_read_needs_no_digest() -> None:
    """A call without body is signed by method and target alone."""
    headers = sign("GET", f"{ORIGIN}/outcomes/v1/reports/1", b"", "", key=KEY, key_id=KEY_ID, created=NOW)
    assert set(headers) == {"signature", "signature-input"}
    call = Call(headers, method="GET", path=b"/outcomes/v1/reports/1", query=b"", body=b"")
    assert (await call.verified()).key_id == KEY_ID
    call.path = b"/outcomes/v1/reports/2"
    assert "does not fit this request" in await refusal(call)


async def test_a_repeat_verifies_with_the_same_nonce() -> None:
    """A replay within the window passes here, and shows the nonce by which its taker must know it."""
    call = signed_call()
    assert await call.verified() == await call.verified(now=NOW + timedelta(seconds=299))


async def test_each_signature_has_its_own_nonce() -> None:
    """A caller who names no nonce gets a new one each time."""
    assert len({(await signed_call(nonce=None).verified()).nonce for _ in range(20)}) == 20


TAMPERED: dict[str, Callable[[Call], None]] = {
    "method": lambda call: setattr(call, "method", "PUT"),
    "path": lambda call: setattr(call, "path", b"/intake/v1/flagged-reports/"),
    "query": lambda call: setattr(call, "query", b"source=a/b"),
    "no query": lambda call: setattr(call, "query", b""),
    "content type": lambda call: call.headers.update({"content-type": "text/plain"}),
    "second content type": lambda call: setattr(call, "more_headers", [(b"content-type", b"text/plain")]),
    "nonce": lambda call: replace_in(call, NONCE, "nonce-0000000002"),
    "created": lambda call: replace_in(call, "created=", "created=1"),
    "signature": lambda call: call.headers.update({"signature": f"sig1=:{b64encode(bytes(64)).decode()}:"}),
    "short signature": lambda call: call.headers.update({"signature": f"sig1=:{b64encode(bytes(8)).decode()}:"}),
    "digest": lambda call: call.headers.update({"content-digest": sha256(b"other")}),
}


def replace_in(call: Call, old: str, new: str) -> None:
    assert old in call.headers["signature-input"]
    call.headers["signature-input"] = call.headers["signature-input"].replace(old, new)


def sha256(body: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


@pytest.mark.parametrize("what", TAMPERED)
async def test_tampering_shows(what: str) -> None:
    """A change of anything that is covered, or of the signature's own terms, is refused."""
    call = signed_call()
    TAMPERED[what](call)
    await refusal(call)


async def test_another_body_is_refused() -> None:
    """The digest is compared with the body that came, also when the signature over the digest is right."""
    call = signed_call()
    call.body = BODY.replace(b"e", b"E")
    assert "content-digest is not that of the body" in await refusal(call)


async def test_a_body_cannot_be_added_or_taken_away() -> None:
    """A call signed without body does not carry one, and one signed with a body is not accepted without it."""
    bare = Call(sign("POST", URL, b"", "", key=KEY, key_id=KEY_ID, nonce=NONCE, created=NOW))
    assert "does not cover content-digest, content-type" in await refusal(bare)
    emptied = signed_call()
    emptied.body = b""
    assert "content-digest is not that of the body" in await refusal(emptied)


@pytest.mark.parametrize("left_out", ["@method", "@target-uri", "content-digest", "content-type"])
async def test_each_component_is_needed(left_out: str) -> None:
    """A signature that leaves one of the four out is refused by its name."""
    all_four = ("@method", "@target-uri", "content-digest", "content-type")
    call = by_the_library([name for name in all_four if name != left_out])
    assert f"does not cover {left_out}" in await refusal(call)


@pytest.mark.parametrize("form", ['"content-digest";key="sha-512"', '"content-digest";sf', '"content-digest";bs'])
async def test_the_whole_digest_field_is_needed(form: str) -> None:
    """Covering a part or another form of content-digest is not covering it."""
    call = by_the_library(("@method", "@target-uri", form, "content-type"))
    assert "does not cover content-digest" in await refusal(call)


@pytest.mark.parametrize(
    "digest", ["md5=:AAAA:", "sha-256=:AAAA:", 'sha-256="text"', "sha-256=:" + "A" * 44 + ":, sha-256=:AAAA:", "", "{}"]
)
async def test_a_digest_must_be_one(digest: str) -> None:
    """A digest of another algorithm, length or form is refused even where the signature covers it."""
    call = by_the_library(headers={"Content-Type": JSON, "Content-Digest": digest})
    await refusal(call)


async def test_every_digest_given_must_hold() -> None:
    """A right digest does not excuse a wrong one beside it."""
    wrong = f"{sha256(BODY)}, sha-512=:{b64encode(hashlib.sha512(b'other').digest()).decode()}:"
    assert "content-digest" in await refusal(by_the_library(headers={"Content-Type": JSON, "Content-Digest": wrong}))


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_the_window_is_open(seconds: int) -> None:
    """A signature made at most 300 s from now, either way, counts."""
    assert await signed_call(created=NOW + timedelta(seconds=seconds)).verified()


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 40_000_000_000])
async def test_the_window_is_closed(seconds: int) -> None:
    """A signature made earlier or later is refused before its key is looked up, and the server's time is told."""
    call = signed_call()
    replace_in(call, f"created={int(NOW.timestamp())}", f"created={int(NOW.timestamp()) + seconds}")
    detail = await refusal(call)
    assert "created is more than 300 s" in detail
    assert str(int(NOW.timestamp())) in detail
    assert call.asked == []


async def test_an_expired_signature_is_refused() -> None:
    """`expires` is the signer's own, narrower window."""
    assert "expired" in await refusal(by_the_library(expires=NOW - timedelta(seconds=1)))


@pytest.mark.parametrize("name", ["created", "keyid", "nonce"])
async def test_each_parameter_is_needed(name: str) -> None:
    """created, keyid and nonce must be there and of their type."""
    for change in ("", f';{name}="x"', f";{name}=1.5", f";{name}", f';{name}="{"x" * 201}"'):
        call = signed_call()
        call.headers["signature-input"] = re.sub(rf";{name}=[^;]+", change, call.headers["signature-input"])
        if name == "keyid" and change == ';keyid="x"':
            assert "names no key" in await refusal(call)
        else:
            assert f"parameter {name}" in await refusal(call)


@pytest.mark.parametrize(("length", "good"), [(7, False), (8, True), (128, True), (129, False)])
async def test_a_nonce_has_bounds(length: int, *, good: bool) -> None:
    """A nonce has 8 to 128 characters: long enough not to be guessed, short enough to be kept."""
    call = signed_call(nonce="n" * length)
    if good:
        assert (await call.verified()).nonce == "n" * length
    else:
        assert "parameter nonce" in await refusal(call)


async def test_a_nonce_is_plain_text() -> None:
    """A display string, which may hold any character, is no nonce."""
    call = signed_call()
    replace_in(call, f'"{NONCE}"', '%"nonce%00nonce"')
    assert "parameter nonce" in await refusal(call)


async def test_several_signatures_are_refused() -> None:
    """Of two signatures neither counts, whether they come in one line or two, under two labels or one."""
    first, second = signed_call(), signed_call()
    for name in ("signature-input", "signature"):
        first.headers[name] += ", " + second.headers[name].replace("sig1", "sig2", 1)
    assert "not the only one" in await refusal(first)
    second.more_headers = [(b"signature", second.headers["signature"].encode())]
    assert "label" in await refusal(second)
    third = signed_call()
    third.headers["signature"] = third.headers["signature"].replace("sig1", "sig2", 1)
    assert "labels" in await refusal(third)


@pytest.mark.parametrize("name", ["Signature", "Signature-Input"])
async def test_both_header_fields_are_needed(name: str) -> None:
    """A missing header field is named."""
    call = signed_call()
    del call.headers[name.lower()]
    assert f"{name} is missing" in await refusal(call)


@pytest.mark.parametrize(
    "value",
    ["sig1", "sig1=1", 'sig1="x"', "(", "sig1=(1 2)", "x" * 4_097, "sig1=()", 'sig1=("@method"', "sig1=:AA", "é=1",
     'sig1=("@method" "@target-uri" "content-digest" "content-type" "@nothing")'],
)  # fmt: skip
async def test_malformed_fields_are_refused(value: str) -> None:
    """Whatever stands in the two header fields, the answer is a refusal and never a fault of ours."""
    for name in ("signature", "signature-input"):
        call = signed_call()
        call.headers[name] = value
        await refusal(call)


async def test_a_component_that_cannot_be_resolved_is_refused() -> None:
    """More may be covered than is asked for, as far as it is there."""
    call = signed_call()
    replace_in(call, '"content-type"', '"content-type" "x-absent"')
    assert "does not fit this request" in await refusal(call)


async def test_only_ed25519() -> None:
    """Another algorithm is refused by its name, and a key of another kind does not verify."""
    ec_key = generate_private_key(SECP256R1())
    named = by_the_library(algorithm=algorithms.ECDSA_P256_SHA256, key=ec_key)
    assert "alg is another than ed25519" in await refusal(named)
    silent = by_the_library(algorithm=algorithms.ECDSA_P256_SHA256, key=ec_key, include_alg=False)
    assert "does not fit this request and the key" in await refusal(silent)


async def test_another_key_is_refused() -> None:
    """A signature by another key under a known key id, and an unknown key id, are both refused."""
    assert "the key it names" in await refusal(signed_call(key=Ed25519PrivateKey.generate()))
    assert "names no key" in await refusal(signed_call(key_id="src-ffffffffffffffff"))


async def test_the_host_header_is_not_believed() -> None:
    """The target's origin is ours by setting: a call signed for another origin is refused, and ours is named."""
    assert ORIGIN in await refusal(
        Call(sign("POST", URL.replace("reports", "evil"), BODY, JSON, key=KEY, key_id=KEY_ID, created=NOW))
    )
    assert "https://elsewhere.example" in await refusal(signed_call(), public_url="https://elsewhere.example")


async def test_refusals_repeat_nothing() -> None:
    """What the caller sent does not come back in the sentence."""
    canary = "canary-7f3a91"
    call = signed_call(nonce=canary, key_id=canary)
    assert canary not in await refusal(call)
    call = signed_call()
    replace_in(call, '"content-type"', f'"content-type" "{canary}"')
    assert canary not in await refusal(call)
    call = signed_call()
    call.headers["signature-input"] = f"{canary}=(("
    assert canary not in await refusal(call)
