"""Records as other producers send them."""

import base64
import json
import random
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def report(seed: random.Random, content_id: str, **fields: Any) -> dict[str, Any]:
    """The `data` of an ordinary user's report."""
    data = {
        "report_id": str(UUID(int=seed.getrandbits(128), version=4)),
        "channel": "one_click",
        "reporter": f"u_{seed.getrandbits(40):x}",
        "occurred_at": "2026-01-05T08:00:00Z",
        "source": {"kind": "user"},
        "content": {
            "id": content_id,
            "type": "video",
            "language": "zh",
            "region": "CN-31",
            "excerpt": "这段视频在骗钱",
        },
        "category": seed.choice(["scams_and_fraud", "violence", "protection_of_minors", "self_harm"]),
        "explanation": "标题承诺返利，实际收款后失联",
    }
    return {**data, **fields}


def event(seed: random.Random, data: dict[str, Any], **attributes: Any) -> bytes:
    """A whole event around the data."""
    envelope = {
        "specversion": "1.0",
        "id": str(UUID(int=seed.getrandbits(128), version=4)),
        "source": "app-backend",
        "type": "jubao.report.submitted.v1",
        "time": "2026-01-05T08:00:01Z",
        "subject": data["report_id"],
        "datacontenttype": "application/json",
        "data": data,
        **attributes,
    }
    return json.dumps(envelope, ensure_ascii=False).encode()


def ordinary(seed: random.Random, count: int, prefix: str) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Ordinary reports, about three an item, as records for `reports.public.v1`."""
    records = []
    for _ in range(count):
        content_id = f"{prefix}_{seed.randrange(max(1, count // 3))}"
        records.append((content_id.encode(), event(seed, report(seed, content_id)), []))
    return records


def flagged(
    seed: random.Random, content_id: str, source_id: str, kind: str = "police", **fields: Any
) -> dict[str, Any]:
    """The `data` of a flagged source's report."""
    return report(
        seed,
        content_id,
        channel="police_one_click",
        source={"kind": kind, "id": source_id},
        legal_ground="《网络安全法》第四十七条",
        **fields,
    )


def attestation(key: Ed25519PrivateKey, key_id: str, value: bytes, **header: str) -> bytes:
    """A compact detached JWS (RFC 7515, appendix F) over a record's bytes, by an attester's key."""
    protected = _b64(json.dumps({"alg": "EdDSA", "kid": key_id, **header}).encode())
    return protected + b".." + _b64(key.sign(protected + b"." + _b64(value)))


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
