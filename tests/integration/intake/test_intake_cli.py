"""The commands source, attester and report against a running intake, as people use them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from services.cli.main import run
from services.intake.keys import source_key_id

REPORT = ("--category", "scams_and_fraud", "--explanation", "冒充客服", "--legal-ground", "《刑法》第二百六十六条")


@pytest.fixture
def jubao(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Any]:
    """Runs a command as an admin at another machine would: with an address and a token; gives code, out and err."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUBAO_PUBLIC_URL", bench.settings.public_url)
    monkeypatch.setenv("JUBAO_TOKEN", bench.bearer("admin")["Authorization"].removeprefix("Bearer "))
    monkeypatch.setenv("COLUMNS", "200")

    async def call(*arguments: str, token: bool = True) -> tuple[int, str, str]:
        if not token:
            monkeypatch.delenv("JUBAO_TOKEN")
        capfd.readouterr()
        code = await asyncio.to_thread(run, list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    # The server's own lines must not stand between the command's.
    with capture_logs():
        yield call


async def test_a_source_from_registration_to_report(bench: Any, jubao: Any, tmp_path: Path) -> None:
    """A source is added with a new key, reports with it at once, is shown, suspended, resumed and loses its key."""
    async with bench.served():
        added = await jubao(
            "source", "add", "--kind", "police", "--name", "浦东网警", "--agency", "上海市公安局", "--parent", "公安部",
            "--region", "CN-31", "--categories", "self_harm,violence", "--quota", "7", "--new-key", "new.pem", "--json",
        )  # fmt: skip
        assert added[0] == 0, added
        made = json.loads(added[1])
        assert (made["region"], made["quota_per_day"], made["parent"]) == ("CN-31", 7, "公安部")
        assert made["categories"] == ["self_harm", "violence"]
        path = tmp_path / "new.pem"
        key = load_pem_private_key(path.read_bytes(), None)
        assert path.stat().st_mode & 0o777 == 0o600
        assert made["key_id"] == source_key_id(key.public_key().public_bytes_raw())
        assert "PRIVATE" not in added[1]
        submit = ("report", "--source", made["id"], "--key", "new.pem", "--content-id", "v_1", *REPORT, "--json")
        code, out, _ = await jubao(*submit, "--territory", "CN-11", "--url", "https://example.org/v/1")
        assert code == 0
        answer = json.loads(out)
        assert (answer["lane"], answer["standing"]) == ("flagged", "out_of_territory")
        (record,) = await bench.records("reports.flagged.v1", answer["report_id"])
        said = json.loads(record.value)["data"]
        assert (said["channel"], said["content"]["type"]) == ("police_one_click", "video")
        assert said["content"] == {"id": "v_1", "type": "video", "url": "https://example.org/v/1"}
        assert (said["territory"], said["source"]["id"]) == ("CN-11", made["id"])
        for action, status in (("suspend", "suspended"), ("resume", "active")):
            code, out, _ = await jubao("source", action, made["id"], "--json")
            assert (code, json.loads(out)["status"]) == (0, status)
        code, out, _ = await jubao("source", "list", "--json")
        assert made["id"] in {row["id"] for row in json.loads(out)}
        code, out, _ = await jubao("source", "revoke-key", made["id"], made["key_id"], "--json")
        assert (code, json.loads(out)["key_id"]) == (0, None)
        code, out, err = await jubao(*submit)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "revoked" in err


async def test_a_report_needs_no_account(bench: Any, jubao: Any) -> None:
    """The signature is all that a source has to show: no token and no issuer's key."""
    async with bench.served():
        _, out, _ = await jubao("source", "add", "--kind", "police", "--name", "x", "--new-key", "k.pem", "--json")
        submit = ("report", "--source", json.loads(out)["id"], "--key", "k.pem", "--content-id", "v_1", *REPORT)
        code, out, err = await jubao(*submit, "--json", token=False)
        assert (code, err) == (0, "")
        assert json.loads(out)["lane"] == "flagged"
        code, _, err = await jubao("report", "--source", str(uuid4()), *submit[3:])
        assert code == 1
        assert "another source" in err or "not the one this key" in err


async def test_a_report_is_tried_again_as_one_report(bench: Any, jubao: Any) -> None:
    """While the broker is away for a moment the command tries again with one nonce."""
    async with bench.served():
        _, out, _ = await jubao("source", "add", "--kind", "police", "--name", "x", "--new-key", "k.pem", "--json")
        bench.faults.late = 1
        code, answer, _ = await jubao(
            "report", "--source", json.loads(out)["id"], "--key", "k.pem", "--content-id", "v_1", *REPORT, "--json"
        )
        assert code == 0
        records = await bench.records("reports.flagged.v1", json.loads(answer)["report_id"])
        assert len(records) == 2
        assert len({record.value for record in records}) == 1


async def test_key_files(bench: Any, jubao: Any, tmp_path: Path) -> None:
    """Public keys are PEM or OpenSSH lines; no file is overwritten, no private key is sent, no orphan is left."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    files = {
        "key.pem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "key.ssh": private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "key.pub": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "line.pub": Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "binary": bytes(range(128, 256)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    add = ("source", "add", "--kind", "police", "--name", "x", "--json")
    async with bench.served():
        code, out, _ = await jubao(*add, "--public-key", "key.pub")
        assert code == 0
        source_id = json.loads(out)["id"]
        assert (await jubao(*add, "--public-key", "line.pub"))[0] == 0
        for name, why in (
            ("key.pem", "private key"), ("key.ssh", "private key"), ("binary", "no text"), ("absent", "cannot be read"),
            ("key.pub", "registered already"),
        ):  # fmt: skip
            code, out, err = await jubao(*add, "--public-key", name)
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert why in err
        code, _, err = await jubao(*add, "--new-key", "key.pem")
        assert code == 1
        assert "exists already" in err
        assert (tmp_path / "key.pem").read_bytes() == files["key.pem"]
        refused = ("source", "add", "--kind", "police", "--name", "x", "--region", "上海", "--new-key", "fresh.pem")
        assert (await jubao(*refused))[0] == 1
        assert not (tmp_path / "fresh.pem").exists()
        for name in ("key.pem", "key.ssh"):
            submit = ("report", "--source", source_id, "--key", name, "--content-id", "v_1", *REPORT, "--json")
            assert (await jubao(*submit))[0] == 0
        code, _, err = await jubao("report", "--source", source_id, "--key", "key.pub", "--content-id", "v", *REPORT)
        assert code == 1
        assert "no private key" in err


async def test_an_attester(bench: Any, jubao: Any, tmp_path: Path) -> None:
    """An attester is added by its public key and listed beside intake's own."""
    public = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "key.pub").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    name = f"backend-{uuid4()}"
    async with bench.served():
        code, out, err = await jubao(
            "attester", "add", "--name", name, "--public-key", "key.pub", "--kinds", "police, government", "--json"
        )
        assert (code, err) == (0, "")
        made = json.loads(out)
        assert made["kinds"] == ["police", "government"]
        assert len(await bench.records("sources.v1", made["key_id"])) == 1
        code, out, _ = await jubao("attester", "list", "--json")
        assert {"intake", name} <= {row["name"] for row in json.loads(out)}


async def test_tables_for_people(bench: Any, jubao: Any) -> None:
    """Without --json a person sees the ids whole."""
    async with bench.served():
        code, out, _ = await jubao("source", "add", "--kind", "police", "--name", "浦东网警", "--new-key", "k.pem")
        assert code == 0
        _, listed, _ = await jubao("source", "list", "--json")
        made = json.loads(listed)[-1]
        assert made["id"] in out
        assert made["key_id"] in out
        for arguments in (("source", "show", made["id"]), ("source", "list"), ("attester", "list")):
            code, out, _ = await jubao(*arguments)
            assert code == 0
            assert (made["id"] if arguments[0] == "source" else "intake-") in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("source", "add", "--kind", "king", "--name", "x"),
        ("source", "add", "--kind", "police"),
        ("source", "add", "--kind", "police", "--name", "x", "--quota", "-1"),
        ("source", "add", "--kind", "police", "--name", "x", "--categories", "nonsense"),
        ("source", "add", "--kind", "police", "--name", "x", "--public-key", "a", "--new-key", "b"),
        ("source", "show", "nobody"),
        ("attester", "add", "--name", "x", "--public-key", "a", "--kinds", "user"),
        ("attester", "add", "--name", "x", "--public-key", "a", "--kinds", ","),
        ("report", "--source", "nobody", "--key", "a", "--content-id", "v", *REPORT),
    ],
)
async def test_wrong_use(jubao: Any, arguments: tuple[str, ...]) -> None:
    """Wrong use is told in one sentence before anything is asked, with exit code 2."""
    code, out, err = await jubao(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)


async def test_nothing_answers(jubao: Any) -> None:
    """Where no intake runs, one sentence says how to start it."""
    code, out, err = await jubao("source", "list")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "jubao up" in err
