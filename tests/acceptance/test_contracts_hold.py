"""The AsyncAPI document beside a stack that runs: its groups, its topics, and every record on them."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from jsonschema import Draft7Validator

from tests.acceptance.stack import Stack

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "contracts" / "asyncapi" / "jubao.json").read_bytes())
SERVICES = {key.partition(".")[0] for key in DOCUMENT["operations"]}
CHANNELS: dict[str, Any] = DOCUMENT["channels"]
DECISION = {"verdict": "against_terms", "violates": "TERMS-4.2", "actions": ["demote"], "reason": "夸大收益"}


def admin_says(stack: Stack, ask: Any) -> Any:
    """What Kafka's administration answers."""

    async def asked() -> Any:
        client = AIOKafkaAdminClient(bootstrap_servers=stack.answer["kafka"])
        await client.start()
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(asked())


def documented_groups() -> dict[str, set[str]]:
    """The topics that each consumer group reads, as the document says."""
    found: dict[str, set[str]] = {}
    for operation in DOCUMENT["operations"].values():
        if group := operation.get("bindings", {}).get("kafka", {}).get("groupId"):
            found.setdefault(group["const"], set()).add(operation["channel"]["$ref"].removeprefix("#/channels/"))
    return found


def example(name: str) -> bytes:
    """A stored example of a report, on an item of this test alone: others use the stack too."""
    path = ROOT / "schemas" / "examples" / "jubao.report.submitted" / "v1" / f"{name}.json"
    return path.read_bytes().replace(b"v_7301", b"v_contracts_known")


@pytest.fixture(scope="module")
def lived(stack: Stack) -> Stack:
    """A stack on which a police report went to its outcome and was erased, one report died, one vouching was void."""
    police = stack.source("police", region="CN-31")
    made = stack.report(police, "v_contracts")
    unattested = example("flagged-full").replace(b'"source": "intake"', b'"source": "app-backend"')
    stack.produce("reports.flagged.v1", [(b"v_contracts_known", unattested, [])])
    with stack.http("contracts-platform", "platform") as platform:
        report = json.loads(example("full"))["data"]
        assert platform.post("/intake/v1/reports", json=report).status_code == 202
    stack.produce("reports.public.v1", [(b"v_misfit", b"not JSON", [])])
    with stack.http("contracts-reviewer", "reviewer") as reviewer:
        held: dict[str, Any] = {}

        def claimed() -> bool:
            # Cases of tests before this one may come first: they are held until ours is.
            answer = reviewer.post("/review/v1/claims", json={"max": len(held) + 1}).raise_for_status().json()
            held.update({found["case"]["content"]["id"]: found for found in answer["claims"]})
            return "v_contracts" in held

        stack.until(claimed, 90)
        claim = held.pop("v_contracts")
        for other in held.values():
            reviewer.post(f"/review/v1/leases/{other['lease']['token']}/release")
        decided = {**DECISION, "lease": claim["lease"]["token"]}
        assert reviewer.post(f"/review/v1/cases/{claim['case']['id']}/decisions", json=decided).status_code == 201
    stack.until(lambda: stack.entries(report_id=made["report_id"], type="jubao.outcome.reached.v1"), 90)
    with stack.http("contracts-supervisor", "supervisor") as supervisor:
        wanted = {"content_id": "v_contracts", "ground": "《个人信息保护法》第四十七条"}
        hold = supervisor.post("/audit/v1/holds", json={**wanted, "content_id": "v_held"}).raise_for_status().json()
        supervisor.post(f"/audit/v1/holds/{hold['hold_id']}/lift").raise_for_status()
        supervisor.post("/audit/v1/erasures", json=wanted).raise_for_status()
    stack.until(lambda: stack.entries(report_id=made["report_id"], type="jubao.erasure.ordered.v1"), 90)
    stack.until(lambda: stack.consume("checkpoints.v1"), 120)
    stack.settle()
    return stack


def test_groups_read_what_the_document_says(lived: Stack) -> None:
    """The consumer groups of the broker are the document's, and each has offsets on the topics it is said to read."""
    wanted = documented_groups()

    async def ask(client: AIOKafkaAdminClient) -> dict[str, set[str]]:
        listed = {name for name, _ in await client.list_consumer_groups() if name.startswith("jubao.")}
        return {name: {place.topic for place in await client.list_consumer_group_offsets(name)} for name in listed}

    found = admin_says(lived, ask)
    assert set(found) == set(wanted)
    for group, topics in found.items():
        assert topics <= wanted[group], group


def test_topics_are_as_the_document_says(lived: Stack) -> None:
    """Each channel is a topic of the broker with the documented partitions, clean-up and retention."""

    async def ask(client: AIOKafkaAdminClient) -> tuple[Any, Any]:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in CHANNELS]
        answers = await client.describe_configs(resources)
        configs = {r[3]: {c[0]: c[1] for c in r[4]} for answer in answers for r in answer.resources}
        return await client.describe_topics(list(CHANNELS)), configs

    described, configs = admin_says(lived, ask)
    assert {topic["topic"]: len(topic["partitions"]) for topic in described} == {
        name: channel["bindings"]["kafka"]["partitions"] for name, channel in CHANNELS.items()
    }
    for name, channel in CHANNELS.items():
        kept = channel["bindings"]["kafka"]["topicConfiguration"]
        assert configs[name]["cleanup.policy"] == ",".join(kept["cleanup.policy"])
        assert "retention.ms" not in kept or configs[name]["retention.ms"] == str(kept["retention.ms"])
        assert int(configs[name]["max.message.bytes"]) >= kept["max.message.bytes"]


def wrong(schema: Mapping[str, Any], value: Any) -> list[str]:
    whole = {"allOf": [schema], "components": DOCUMENT["components"]}
    return [error.message for error in Draft7Validator(whole).iter_errors(value)]


@pytest.mark.parametrize("name", [name for name, channel in CHANNELS.items() if "x-dead-letters" in channel])
def test_records_are_as_the_document_says(lived: Stack, name: str) -> None:
    """Each record of a service is a message of its topic, by payload and headers, and the service writes that topic."""
    messages = {
        event: DOCUMENT["components"]["messages"][said["$ref"].rpartition("/")[2]]
        for event, said in CHANNELS[name]["messages"].items()
    }
    writers = {
        key.partition(".")[0]
        for key, operation in DOCUMENT["operations"].items()
        if operation["action"] == "send" and operation["channel"]["$ref"] == f"#/channels/{name}"
    }
    ours = 0
    for record in lived.consume(name):
        try:
            payload = json.loads(record.value)
        except ValueError:
            continue  # another producer's, which is on its dead-letter topic too
        source = payload.get("source") if isinstance(payload, dict) else None
        if not isinstance(source, str) or (source := source.removeprefix("jubao/")) not in SERVICES:
            continue  # likewise another's, whose headers are its own
        ours += 1
        assert source in writers
        message = messages[payload["type"]]
        headers = {header: value.decode() for header, value in record.headers}
        assert wrong(message["payload"], payload) == []
        assert wrong({**message["headers"], "required": ["content-type"]}, headers) == []
    assert ours


def test_dead_letters_are_as_the_document_says(lived: Stack) -> None:
    """A dead letter has the documented headers, and its bytes are the record's."""
    message = DOCUMENT["components"]["messages"]["dead"]
    letters = lived.consume("reports.public.v1.dead")
    assert b"not JSON" in [letter.value for letter in letters]
    for letter in letters:
        headers = {name: value.decode() for name, value in letter.headers if name in message["headers"]["properties"]}
        assert wrong(message["headers"], headers) == []
