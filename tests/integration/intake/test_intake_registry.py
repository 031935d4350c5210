"""Sources and attesters as admins keep them, and what the other services are told."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.source import AttesterChanged, SourceChanged
from services.intake.keys import base64url

SOURCES = "/intake/v1/sources"
ATTESTERS = "/intake/v1/attesters"


def new_key() -> str:
    """A new public key in base64url."""
    return base64url(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


async def post(bench: Any, path: str, status: int, form: dict[str, Any] | None = None) -> dict[str, Any]:
    """A call of an admin."""
    answer = await bench.client.post(path, json=form, headers=bench.bearer("admin", "zhao"))
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def told(bench: Any, subject: str) -> list[dict[str, Any]]:
    """What was told of a source or key, in order."""
    return await bench.records("sources.v1", subject)


async def test_a_source_is_registered_whole(bench: Any) -> None:
    """All that was given is shown again, and told on the topic by the moment of the answer."""
    form = {
        "kind": "trusted_flagger", "name": "反诈中心", "agency": "公安局", "parent": "公安部", "region": "CN-31",
        "categories": ["self_harm", "scams_and_fraud", "self_harm"], "quota_per_day": 5, "time_zone": "Asia/Urumqi",
        "public_key": new_key(),
    }  # fmt: skip
    made = await post(bench, SOURCES, 201, form)
    assert made["categories"] == ["self_harm", "scams_and_fraud"]
    assert {name: made[name] for name in form if name not in {"public_key", "categories"}} == {
        name: value for name, value in form.items() if name not in {"public_key", "categories"}
    }
    assert (made["status"], made["version"], made["published"]) == ("active", 1, True)
    assert made["keys"][0]["public_key"] == form["public_key"]
    assert made["key_id"] == made["keys"][0]["key_id"]
    (record,) = await told(bench, made["id"])
    event = SourceChanged.model_validate_json(record.value)
    assert record.key == made["id"].encode()
    assert (event.data.change, event.data.actor, event.data.version) == ("added", "zhao", 1)
    assert (event.data.region, event.data.quota_per_day, event.data.time_zone) == ("CN-31", 5, "Asia/Urumqi")
    assert [key.key_id for key in event.data.keys] == [made["key_id"]]
    shown = await bench.client.get(f"{SOURCES}/{made['id']}", headers=bench.bearer("admin"))
    assert shown.json() == {name: value for name, value in made.items() if name != "published"}


async def test_each_change_is_told_once(bench: Any) -> None:
    """The versions on the topic have no gap; what changes nothing is not told."""
    made = await post(bench, SOURCES, 201, {"kind": "police", "name": "浦东网警", "public_key": new_key()})
    path = f"{SOURCES}/{made['id']}"
    for action in ("suspend", "suspend", "resume", "resume"):
        await post(bench, f"{path}/{action}", 200)
    second = await post(bench, f"{path}/keys", 201, {"public_key": new_key()})
    assert second["key_id"] != made["key_id"]
    for _ in range(2):
        after = await post(bench, f"{path}/keys/{second['key_id']}/revoke", 200)
    assert after["key_id"] == made["key_id"]
    events = [SourceChanged.model_validate_json(record.value).data for record in await told(bench, made["id"])]
    assert [event.change for event in events] == ["added", "suspended", "resumed", "key_added", "key_revoked"]
    assert [event.version for event in events] == [1, 2, 3, 4, 5]
    assert [event.status for event in events] == ["active", "suspended", "active", "active", "active"]
    assert [key.revoked_at is not None for key in events[-1].keys] == [False, True]


async def test_concurrent_changes_each_count(bench: Any) -> None:
    """Ten changes at once are ten versions, told in their order."""
    made = await post(bench, SOURCES, 201, {"kind": "police", "name": "浦东网警"})
    path = f"{SOURCES}/{made['id']}/keys"
    await asyncio.gather(*(post(bench, path, 201, {"public_key": new_key()}) for _ in range(10)))
    events = [SourceChanged.model_validate_json(record.value).data for record in await told(bench, made["id"])]
    assert [event.version for event in events] == list(range(1, 12))
    assert [len(event.keys) for event in events] == list(range(11))


async def test_a_key_belongs_to_one_source(bench: Any) -> None:
    """A registered key is refused elsewhere, in any spelling, even after it was revoked; nothing is left behind."""
    private = Ed25519PrivateKey.generate()
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    made = await post(bench, SOURCES, 201, {"kind": "police", "name": "浦东网警", "public_key": line})
    await post(bench, f"{SOURCES}/{made['id']}/keys/{made['key_id']}/revoke", 200)
    name = f"refused-{uuid4()}"
    refused = await post(bench, SOURCES, 409, {"kind": "police", "name": name, "public_key": pem})
    assert refused["type"] == "urn:jubao:problem:key_taken"
    await post(bench, f"{SOURCES}/{made['id']}/keys", 409, {"public_key": pem})
    assert await bench.rows("SELECT FROM sources WHERE name = $1", name) == []


async def test_forms_that_do_not_fit(bench: Any) -> None:
    """What is wrong is told with its place; a private key is not repeated."""
    good = {"kind": "police", "name": "浦东网警"}
    for change, place in (
        ({"kind": "user"}, "kind"), ({"name": ""}, "name"), ({"name": "a\x00"}, "name"), ({"region": "上海"}, "region"),
        ({"quota_per_day": -1}, "quota_per_day"), ({"quota_per_day": 10**12}, "quota_per_day"),
        ({"categories": ["nonsense"]}, "categories"), ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"), ({"time_zone": "Asia"}, "time_zone"),
        ({"public_key": "-----BEGIN PRIVATE KEY-----\nCANARY"}, "public_key"), ({"public_key": 5}, "public_key"),
    ):  # fmt: skip
        refused = await post(bench, SOURCES, 422, good | change)
        assert refused["errors"][0]["loc"].startswith(f"body.{place}"), refused
        assert "CANARY" not in json.dumps(refused)
    assert (
        "private key"
        in (await post(bench, SOURCES, 422, good | {"public_key": "-----BEGIN PRIVATE KEY-----\nCANARY"}))["errors"][0][
            "msg"
        ]
    )
    await post(bench, ATTESTERS, 422, {"name": "intake", "public_key": new_key(), "kinds": ["police"]})
    await post(bench, ATTESTERS, 422, {"name": "backend", "public_key": new_key(), "kinds": []})
    await post(bench, ATTESTERS, 422, {"name": "backend", "public_key": new_key(), "kinds": ["user"]})


async def test_what_is_not_there(bench: Any) -> None:
    """An unknown source or key is a 404; an id that is none is a 422."""
    made = await post(bench, SOURCES, 201, {"kind": "police", "name": "浦东网警"})
    await post(bench, f"{SOURCES}/{uuid4()}/suspend", 404)
    await post(bench, f"{SOURCES}/{made['id']}/keys/src-0000000000000000/revoke", 404)
    await post(bench, f"{SOURCES}/nonsense/suspend", 422)


async def test_only_admins(bench: Any) -> None:
    """The registry is for admins alone."""
    for role in ("reviewer", "supervisor", "auditor", "platform"):
        for method, path in (("POST", SOURCES), ("GET", SOURCES), ("POST", ATTESTERS), ("GET", ATTESTERS)):
            answer = await bench.client.request(method, path, headers=bench.bearer(role))
            assert answer.status_code == 403
    assert (await bench.client.get(SOURCES)).status_code == 401


async def test_listings_have_pages(bench: Any) -> None:
    """Following the cursors shows each source once; tampered, foreign and oversized questions are refused."""
    made = [(await post(bench, SOURCES, 201, {"kind": "police", "name": f"s{n}"}))["id"] for n in range(5)]
    admin, seen, cursor = bench.bearer("admin"), [], None
    for _ in range(1_000):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await bench.client.get(SOURCES, params=query, headers=admin)).json()
        seen += [source["id"] for source in page["sources"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert [source_id for source_id in seen if source_id in made] == made
    assert len(set(seen)) == len(seen)
    first = (await bench.client.get(SOURCES, params={"limit": 1}, headers=admin)).json()["next"]
    assert (await bench.client.get(ATTESTERS, params={"cursor": first}, headers=admin)).status_code == 422
    for wrong in ({"cursor": first[:-2] + "AA"}, {"cursor": "é"}, {"limit": 0}, {"limit": 201}, {"limit": "x"}):
        assert (await bench.client.get(SOURCES, params=wrong, headers=admin)).status_code == 422


async def test_an_attester_is_registered(bench: Any) -> None:
    """Its key and kinds are told by the moment of the answer; its name and its key are taken from then on."""
    name, key = f"backend-{uuid4()}", new_key()
    form = {"name": name, "public_key": key, "kinds": ["police", "government", "police"]}
    made = await post(bench, ATTESTERS, 201, form)
    assert made["kinds"] == ["police", "government"]
    assert made["published"] is True
    (record,) = await told(bench, made["key_id"])
    event = AttesterChanged.model_validate_json(record.value)
    assert record.key == made["key_id"].encode()
    assert (event.data.key.public_key, event.data.verdicts, event.data.change) == (key, False, "added")
    assert (await post(bench, ATTESTERS, 409, form))["type"] == "urn:jubao:problem:key_taken"
    assert (await post(bench, ATTESTERS, 409, form | {"public_key": new_key()}))["type"].endswith("name_taken")
    listed = (await bench.client.get(ATTESTERS, params={"limit": 200}, headers=bench.bearer("admin"))).json()
    assert {"intake", name} <= {attester["name"] for attester in listed["attesters"]}


async def test_a_change_waits_for_its_event(bench: Any) -> None:
    """Whatever the broker has not got when the answer is due is said to be unpublished, and comes later."""
    officer = await bench.officer()
    relay = bench.process.relay("intake")
    await relay.stop()
    try:
        form = {"name": f"backend-{uuid4()}", "public_key": new_key(), "kinds": ["police"]}
        made = await post(bench, ATTESTERS, 201, form)
        assert made["published"] is False
        assert await told(bench, made["key_id"]) == []
        assert (await officer.report()).status_code == 202, "reports do not go through the outbox"
    finally:
        await relay.start()
    async with asyncio.timeout(20):
        while not await told(bench, made["key_id"]):
            await asyncio.sleep(0.1)


async def test_status_counts_submissions(bench: Any) -> None:
    """The status of intake is how many reports it remembers."""
    await (await bench.officer()).report()
    status = (await bench.client.get("/intake/v1/status", headers=bench.bearer("admin"))).json()
    (row,) = await bench.rows("SELECT count(*) AS n FROM submissions")
    assert status["counts"] == {"submissions": row["n"]}
    assert UUID((await bench.rows("SELECT report_id FROM submissions LIMIT 1"))[0]["report_id"].hex)
