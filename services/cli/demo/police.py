"""The police account of the demonstration: its source and key, and its signed calls."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.vocabulary import Category, Channel, ContentType, SourceKind
from services.cli.client import Refused, client
from services.cli.demo.failure import awaited
from services.cli.errors import explained
from services.cli.keyfiles import make_private_key, private_key
from services.cli.options import data_directory
from services.cli.stack.directory import DataDirectory
from services.runtime.clock import SystemClock
from services.runtime.files import PRIVATE, replace_file
from services.runtime.identity import new_id
from services.runtime.signature import sign

if TYPE_CHECKING:
    import httpx

REGION = "CN-31"
NAME = "示例网警 Demo police"

_UNKNOWN = (401, 404)
_NOT_FOUND = 404
_KNOWN_SECONDS = 30.0
_QUEUED_SECONDS = 30.0
_DECIDED_SECONDS = 60.0
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Officer:
    """A registered source that can sign."""

    source_id: UUID
    key_id: str
    key: Ed25519PrivateKey

    def submit(self, http: "httpx.Client") -> tuple[UUID, str]:
        """Sends a report of a new item; its id and the item's.

        Raises:
            Refused: intake did not take it.
        """
        content_id = f"demo-police-{new_id()}"
        path, body = "/intake/v1/flagged-reports", json.dumps(_statement(content_id)).encode()
        headers = self._signed(http, "POST", path, body)
        answer = http.post(path, content=body, headers=headers).json()
        return UUID(answer["report_id"]), content_id

    def standing(self, http: "httpx.Client", report_id: UUID) -> dict[str, Any] | None:
        """What outcomes tells the source of its report; none while no queue knows it."""
        path = f"/outcomes/v1/reports/{report_id}"
        try:
            told: dict[str, Any] = http.get(path, headers=self._signed(http, "GET", path)).json()
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None
        return told

    def queued(self, http: "httpx.Client", report_id: UUID) -> dict[str, Any]:
        """Waits until a queue has the report.

        Raises:
            Late: none has.
        """
        return awaited(
            lambda: self.standing(http, report_id),
            what="the police report did not reach its queue",
            seconds=_QUEUED_SECONDS,
            pause_seconds=_PAUSE_SECONDS,
        )

    def told(self, http: "httpx.Client", report_id: UUID) -> dict[str, Any]:
        """Waits until the source is told the decision.

        Raises:
            Late: it is not.
        """

        def ask() -> dict[str, Any] | None:
            standing = self.standing(http, report_id)
            return standing if standing is not None and standing["state"] == "decided" else None

        return awaited(
            ask,
            what="the decision was not told back",
            seconds=_DECIDED_SECONDS,
            pause_seconds=_PAUSE_SECONDS,
        )

    def known(self, http: "httpx.Client") -> None:
        """Waits until outcomes knows the key: sources travel to it by Kafka.

        Raises:
            Late: it does not.
        """
        path = f"/outcomes/v1/reports/{new_id()}"

        def ask() -> bool | None:
            try:
                http.get(path, headers=self._signed(http, "GET", path))
            except Refused as refused:
                if refused.status not in _UNKNOWN:
                    raise
                return True if refused.status == _NOT_FOUND else None
            return True

        awaited(
            ask,
            what="outcomes did not hear of the police source",
            seconds=_KNOWN_SECONDS,
            pause_seconds=_PAUSE_SECONDS,
        )

    def _signed(self, http: "httpx.Client", method: str, path: str, body: bytes = b"") -> dict[str, str]:
        url = str(http.base_url.join(path))
        return sign(method, url, body, "application/json", key=self.key, key_id=self.key_id)


def officer_of(data: Path | None) -> Officer:
    """The police source of earlier demonstrations in this directory, or a new one, its key beside it.

    Raises:
        StackError: the directory cannot be written.
    """
    directory = DataDirectory.of(data_directory(data)).root / "demo"
    key_file, noted = directory / "police.pem", directory / "police.json"
    with client(data) as http:
        if (known := _known_officer(http, key_file, noted)) is not None:
            return known
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            key_file.unlink(missing_ok=True)
            form = {"kind": SourceKind.POLICE, "name": NAME, "region": REGION, "public_key": make_private_key(key_file)}
            made = http.post("/intake/v1/sources", json=form).json()
            text = json.dumps({"source_id": made["id"], "key_id": made["key_id"]})
            replace_file(noted, text.encode(), mode=PRIVATE)
        except OSError as refused:
            raise explained(refused, directory) from refused
    return Officer(UUID(made["id"]), made["key_id"], private_key(key_file))


def _known_officer(http: "httpx.Client", key_file: Path, noted: Path) -> Officer | None:
    """The officer that was noted down, unless the database is another one by now, or the source no longer counts."""
    try:
        note = json.loads(noted.read_bytes())
        source_id, key_id = UUID(note["source_id"]), str(note["key_id"])
        source = http.get(f"/intake/v1/sources/{source_id}").json()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    except Refused as refused:
        if refused.status != _NOT_FOUND:
            raise
        return None
    live = {key["key_id"] for key in source["keys"] if key["revoked_at"] is None}
    if source["status"] != "active" or key_id not in live or not key_file.exists():
        return None
    return Officer(source_id, key_id, private_key(key_file))


def _statement(content_id: str) -> dict[str, Any]:
    return {
        "channel": Channel.POLICE_ONE_CLICK,
        "reporter": "demo-officer",
        "occurred_at": SystemClock().now().isoformat(),
        "content": {
            "id": content_id,
            "type": ContentType.VIDEO,
            "author": "demo-author-police",
            "url": f"https://example.org/{content_id}",
            "language": "zh",
            "region": f"{REGION}-0104",
            "excerpt": "收银行卡、电话卡，一套当天结账，地铁口交接。",
        },
        "category": Category.SCAMS,
        "explanation": "收购银行卡和电话卡，供电信网络诈骗团伙使用。",
        "legal_ground": "《中华人民共和国反电信网络诈骗法》第三十一条",
    }
