"""What a witness cosigns and what it refuses, by the rule and over HTTP."""

import json
import socket
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.keys import DatedKey, written_keys
from services.audit.note import Checkpoint, Note, Signer, checkpoint_of, note_of, vouched
from services.audit.tiles import Edge
from services.audit.tree import consistency_nodes, leaf_hash, proof
from services.audit.witnesses import BadWitnesses, Cosigners, Witness, witnesses_of
from services.audit.witnessing import NOTHING, Refusal, Seen, cosigned, judged, offer_of
from services.cli.auditing.witness import Memory, application, own_signer, trusted_keys
from services.cli.errors import CliError
from services.cli.main import run
from services.runtime.clock import SetClock

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LEAVES = [leaf_hash(bytes([number])) for number in range(64)]
OTHERS = [leaf_hash(bytes([number, 1])) for number in range(64)]


def signer(seed: int, name: str = "log.test/jubao") -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


LOG, STRANGER, WITNESS = signer(1), signer(2), signer(3, "witness.example")
AWAY = signer(9, "away.example")
KEYS = {LOG.name: [LOG.key, LOG.cokey]}


def note(size: int, leaves: list[bytes] = LEAVES, by: Signer = LOG, name: str = LOG.name) -> Note:
    text = Checkpoint(name, size, Edge().extended(leaves[:size])[0].root()).text
    return Note(text, (by.sign(text),))


def path(old: int, new: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    def hash_of(node: tuple[int, int]) -> bytes:
        level, number = node
        return Edge().extended(leaves[number << level : (number + 1) << level])[0].root()

    return proof(consistency_nodes(old, new), hash_of)


def request(old: int, made: Note, hashes: list[bytes] | None = None) -> bytes:
    size = checkpoint_of(made.text).size
    sent = hashes if hashes is not None else path(old, size) if old <= size else []
    return "\n".join([f"old {old}", *(b64encode(part).decode() for part in sent), "", str(made)]).encode()


def seen(size: int, leaves: list[bytes] = LEAVES) -> Seen:
    return Seen(size, Edge().extended(leaves[:size])[0].root())


@pytest.mark.parametrize(
    ("old", "new", "before"), [(0, 7, NOTHING), (7, 20, seen(7)), (20, 20, seen(20)), (0, 0, NOTHING), (8, 64, seen(8))]
)
def test_what_continues_is_cosigned(old: int, new: int, before: Seen) -> None:
    """A first checkpoint, one that continues what was seen, and the same again are taken, and the line holds."""
    offer = offer_of(request(old, note(new)))
    assert judged(offer, KEYS, before) == seen(new)
    line = cosigned(offer, WITNESS, 1_700_000_000)
    whole = note_of(f"{offer.note.text}\n{line}")
    assert [(found.key, found.at) for found in vouched(whole, [WITNESS.cokey])] == [(WITNESS.cokey, 1_700_000_000)]


@pytest.mark.parametrize(
    ("body", "before", "status", "said"),
    [
        (request(0, note(7, name="other.test/log", by=signer(1, "other.test/log"))), NOTHING, 404, "know"),
        (request(0, note(7, by=STRANGER)), NOTHING, 403, ""),
        (request(0, Note(note(7).text, (WITNESS.sign(note(7).text),))), NOTHING, 403, "no key"),
        (request(0, Note(note(7).text, (LOG.cosign(note(7).text, 5),))), NOTHING, 403, "no key"),
        (request(9, note(7)), seen(9), 400, "larger"),
        (request(0, note(20)), seen(7), 409, "7\n"),
        (request(7, note(20)), seen(9), 409, "9\n"),
        (request(7, note(20)), NOTHING, 409, "0\n"),
        (request(20, note(20, OTHERS)), seen(20), 409, "20\n"),
        (request(7, note(20, OTHERS)), seen(7), 422, "does not hold"),
        (request(7, note(20, OTHERS), path(7, 20, OTHERS)), seen(7), 422, "does not hold"),
        (request(7, note(20), []), seen(7), 422, "does not hold"),
        (request(0, note(20), path(7, 20)), NOTHING, 422, "does not hold"),
        (request(7, note(20), path(7, 20)[::-1]), seen(7), 422, "does not hold"),
    ],
)
def test_what_does_not_continue_is_refused(body: bytes, before: Seen, status: int, said: str) -> None:
    """Another history, another size, another signer: each is refused with the status that the specification gives."""
    with pytest.raises(Refusal) as refused:
        judged(offer_of(body), KEYS, before)
    assert refused.value.status == status
    assert said in refused.value.said
    if status == 409:
        assert refused.value.media_type == "text/x.tlog.size"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1\n",
        b"old 01\n\n" + str(note(7)).encode(),
        b"new 0\n\n" + str(note(7)).encode(),
        b"\xff",
        b"old 0\nAAAA\n\n" + str(note(7)).encode(),
        b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\n" + str(note(7)).encode(),
        b"old 0\n\norigin\n1\nAAAA\n\n\xe2\x80\x94 name AAAAAAA=\n",
        b"old 99999999999999999999\n\n" + str(note(7)).encode(),
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """A body of another form is 400."""
    with pytest.raises(Refusal) as refused:
        offer_of(body)
    assert refused.value.status == 400


async def test_a_witness_remembers_over_restarts(tmp_path: Path) -> None:
    """What was cosigned binds the witness after a restart: it goes on from there and takes no other history."""
    own = own_signer(tmp_path, "witness.example")
    assert own_signer(tmp_path, "witness.example").cokey == own.cokey
    for old, new, expected in ((0, 7, 200), (7, 20, 200), (20, 20, 200), (7, 20, 409)):
        async with witness_at(tmp_path, own) as http:
            answer = await http.post("/add-checkpoint", content=request(old, note(new)))
            assert answer.status_code == expected
            assert (await http.get("/")).text == f"{own.cokey}\n"
    async with witness_at(tmp_path, own) as http:
        forked = request(20, note(30, OTHERS), path(20, 30, OTHERS))
        assert (await http.post("/add-checkpoint", content=forked)).status_code == 422
        assert (await http.post("/add-checkpoint", content=b"x" * 200_000)).status_code == 413
        answer = await http.post("/add-checkpoint", content=request(0, note(30)))
        assert (answer.status_code, answer.text) == (409, "20\n")
        assert answer.headers["content-type"] == "text/x.tlog.size"
    (kept,) = tmp_path.glob("*.json")
    assert json.loads(kept.read_bytes())["size"] == 20


async def test_a_log_collects_what_its_witnesses_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log learns where each witness stands, proves from there, and takes what holds; one away costs nothing."""
    own = own_signer(tmp_path, "witness.example")
    async with witness_at(tmp_path, own) as http:
        assert (await http.post("/add-checkpoint", content=request(0, note(7)))).status_code == 200
        near, away = Witness("http://witness.example", own.cokey), Witness("http://127.0.0.1:1", AWAY.cokey)

        async def consistency(old: int, new: int) -> list[bytes]:
            return path(old, new)

        cosigners = Cosigners([near, away], consistency)
        posting = cosigners._http.post

        async def post(url: str, *, content: bytes) -> httpx.Response:
            return await (
                http.post("/add-checkpoint", content=content) if "witness" in url else posting(url, content=content)
            )

        monkeypatch.setattr(cosigners._http, "post", post)
        for size in (20, 33):
            found = await cosigners.cosigned(note(size), checkpoint_of(note(size).text))
            assert [v.key for v in vouched(found, [LOG.key, own.cokey])] == [LOG.key, own.cokey]
        forked = await cosigners.cosigned(note(40, OTHERS), checkpoint_of(note(40, OTHERS).text))
        assert forked == note(40, OTHERS)
        await cosigners.close()


def test_the_setting_names_witnesses() -> None:
    """Each witness is an address and a cosigner's key; anything else is told before it is used."""
    setting = f"http://one.example:1/ {WITNESS.cokey}, https://two.example {LOG.cokey}"
    assert witnesses_of(setting) == [
        Witness("http://one.example:1", WITNESS.cokey),
        Witness("https://two.example", LOG.cokey),
    ]
    assert witnesses_of("") == []
    for bad in (
        "http://one.example",
        f"one {WITNESS.cokey}",
        f"http://one.example {LOG.key}",
        "http://one.example a+b+c",
    ):
        with pytest.raises(BadWitnesses, match="JUBAO_WITNESSES"):
            witnesses_of(bad)


def test_keys_of_logs_are_read_as_logs_publish_them(tmp_path: Path) -> None:
    """A published key file, or bare verifier keys a line, name the logs that are watched."""
    file = tmp_path / "keys"
    file.write_text(written_keys([DatedKey(LOG.key, NOW, None), DatedKey(LOG.cokey, NOW, None)]))
    assert trusted_keys([file]) == KEYS
    bare = tmp_path / "bare"
    bare.write_text(f"{STRANGER.key}\n")
    assert trusted_keys([file, bare]) == {LOG.name: [LOG.key, LOG.cokey, STRANGER.key]}
    bare.write_text("nothing of the kind\n")
    with pytest.raises(CliError, match="names no keys"):
        trusted_keys([bare])


def witness_at(directory: Path, own: Signer) -> httpx.AsyncClient:
    app = application(own, KEYS, Memory(directory), SetClock(NOW))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://witness.example")


def test_a_witness_whose_port_is_taken_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It ends with a sentence that says what to do, and announces nothing that could not be reached."""
    (tmp_path / "keys").write_text(f"{LOG.key}\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        own = ["--data", str(tmp_path / "own"), "--origin-key", str(tmp_path / "keys")]
        assert run(["audit", "witness", "--port", port, *own]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert f"cannot listen on 127.0.0.1:{port}" in captured.err
    assert "--port" in captured.err
