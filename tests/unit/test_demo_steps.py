"""The steps of the demonstration against services that answer as they should, and otherwise."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from rich.console import Console

from services.cli.demo import desk, shown, trail
from services.cli.demo.crowd import Crowd
from services.cli.demo.failure import Late, NotAsPromised, awaited
from services.cli.demo.shown import Story, how_to_go_on, told

Case = dict[str, Any]


def test_waiting_ends() -> None:
    """An answer is given as soon as there is one; where there is none, the sentence says what did not happen."""
    answers = iter([None, None, 7])
    assert awaited(lambda: next(answers), what="no", seconds=5, pause_seconds=0) == 7
    with pytest.raises(Late, match=r"the tide did not turn within 0 s"):
        awaited(lambda: None, what="the tide did not turn", seconds=0.01, pause_seconds=0.001)


class Review:
    """Answers claims as the service does: the reviewer's own leases first, then the next cases."""

    def __init__(self, *waiting: tuple[str, str]) -> None:
        self.waiting = list(waiting)
        self.held: dict[str, tuple[str, str]] = {}
        self.released: list[str] = []

    def client(self) -> httpx.Client:
        return httpx.Client(base_url="http://test", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/release"):
            token = request.url.path.split("/")[-2]
            self.released.append(self.held.pop(token)[1])
            return httpx.Response(200, json={})
        most = json.loads(request.content)["max"]
        while len(self.held) < most and self.waiting:
            self.held[str(uuid4())] = self.waiting.pop(0)
        claims = [
            {"lease": {"token": token}, "case": {"class": priority, "content_id": item}}
            for token, (priority, item) in self.held.items()
        ]
        return httpx.Response(200, json={"claims": claims})


def test_the_first_claim_is_the_police_report() -> None:
    """A case that is first is the one claimed, and nothing else is touched."""
    review = Review(("P0", "ours"), ("P3", "other"))
    claimed = desk.claim(review.client(), "ours")
    assert claimed.case["content_id"] == "ours"
    assert list(review.held) == [claimed.lease]
    assert review.waiting == [("P3", "other")]


def test_other_immediate_cases_may_wait_longer() -> None:
    """P0 cases that came before are passed over and given back; only the police report's is held."""
    review = Review(("P0", "a"), ("P0", "b"), ("P0", "ours"))
    assert desk.claim(review.client(), "ours").case["content_id"] == "ours"
    assert review.released == ["a", "b"]
    assert len(review.held) == 1


@pytest.mark.parametrize(
    "waiting", [[("P3", "other"), ("P0", "ours")], [("P0", "a"), ("P1", "b"), ("P0", "ours")], [("P0", "a")], []]
)
def test_an_ordinary_case_before_it_breaks_the_promise(waiting: list[tuple[str, str]]) -> None:
    """Where anything but P0 comes first, or it does not come at all, the step fails and holds no case."""
    review = Review(*waiting)
    with pytest.raises(NotAsPromised, match=r"another case was claimed before"):
        desk.claim(review.client(), "ours")
    assert review.held == {}


def entry(number: int, kind: str, at: str, cause: str | None) -> dict[str, Any]:
    detail = {"id": f"e{number}", **({"causationid": cause} if cause else {})}
    return {"index": number, "type": kind, "time": at, "actor": "a", "detail": detail}


def way(**times: str) -> list[dict[str, Any]]:
    kinds = [kind.split(".")[2] for kind in trail.STEPS]
    return [
        entry(n, kind, times.get(kinds[n], f"2026-11-23T08:00:0{n}.000Z"), f"e{n - 1}" if n else None)
        for n, kind in enumerate(trail.STEPS)
    ]


def test_a_trail_whose_causes_come_first_holds() -> None:
    """Every entry's cause is there and no later, be it of the same millisecond."""
    trail._hold_causes(way())
    trail._hold_causes(way(triaged="2026-11-23T08:00:00.000Z"))


@pytest.mark.parametrize("found", [way(triaged="2026-11-23T08:00:09.000Z"), way()[1:]])
def test_a_trail_with_a_gap_does_not(found: list[dict[str, Any]]) -> None:
    """An entry before its cause, or one whose cause is missing, is told."""
    with pytest.raises(NotAsPromised, match=r"cause of the entry"):
        trail._hold_causes(found)


@pytest.fixture
def story() -> Story:
    ruling = {"policy": "house", "version": "41", "rule": "the_rule", "inputs": {"source.attested": True}}
    return Story(
        seed=97,
        crowd=Crowd(
            new=8_765,
            queued=43_219,
            queues=[
                {"queue": "general", "class": "P3", "waiting": 1_111},
                {"queue": "safety", "class": "P3", "waiting": 2_000},
                {"queue": "safety", "class": "P1", "waiting": 12},
                {"queue": "safety", "class": "P0", "waiting": 0},
            ],
            hottest={"id": "c", "content_id": "i", "report_count": 456},
        ),
        report_id="r-1",
        case={
            "id": "case-1", "class": "P0", "queue": "general", "ruling": ruling, "due_at": "2026-11-23T08:15:00.000Z",
            "history": [
                {"change": "opened", "at": "2026-11-23T08:00:00.250000Z"},
                {"change": "claimed", "at": "2026-11-23T08:00:00.375000Z"},
            ],
        },
        decision={"verdict": "illegal", "actions": ["remove"]},
        outcome={
            "state": "decided", "class": "P0", "verdict": "illegal", "actions": ["remove"],
            "received_at": "2026-11-23T08:00:00.000000Z", "decided_at": "2026-11-23T08:00:00.500000Z",
        },
        entries=way(reached="2026-11-23T08:00:00.750Z"),
        reviewer="demo-reviewer-1",
        sent=10_000,
        claim_seconds=0.377,
        seconds=9.0,
    )  # fmt: skip


def text_of(story: Story, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(told(story))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def line_of(text: str, step: str) -> str:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(step)]
    return line


@pytest.mark.parametrize(
    ("step", "figures"),
    [
        ("ordinary reports queued", ["8,765 new", "43,219 in all"]),
        ("cases that wait", ["3,123", "P1 12", "P3 3,111"]),
        ("hottest item", ["456 reports"]),
        ("police report taken", ["class P0", "08:00:00.000"]),
        ("by the rule", ["house 41: the_rule"]),
        ("queued", ["queue general", "due 08:15:00", "08:00:00.250", "0.250 s"]),
        ("claimed", ["past the 3,123 that wait", "08:00:00.375", "0.375 s"]),
        ("decided", ["illegal, remove", "08:00:00.500", "0.500 s"]),
        ("told to its source", ["decided: illegal", "08:00:00.750", "0.750 s"]),
        ("in the log", ["6 entries"]),
    ],
)
def test_every_figure_of_the_table_is_one_that_was_answered(story: Story, step: str, figures: list[str]) -> None:
    """Each row shows what the services answered for it, times since the report's reception."""
    line = line_of(text_of(story), step)
    assert all(figure in line for figure in figures), line


def test_the_table_fits_a_usual_terminal(story: Story) -> None:
    """At 80 columns no row of steps is broken into two."""
    assert "first, past the 3,123 that wait" in text_of(story, width=80)


def test_reports_that_were_in_are_told(story: Story) -> None:
    """Where nothing new came in, the sentence says why."""
    again = Story(**{**vars(story), "crowd": Crowd(0, 1, story.crowd.queues, story.crowd.hottest)})
    assert "none of them is new" in text_of(again)
    assert "none of them is new" not in text_of(story)


def test_programs_get_the_same_facts(story: Story) -> None:
    """The JSON holds what the table shows."""
    facts = json.loads(json.dumps(story.as_dict()))
    assert facts["ordinary"]["new"] == 8_765
    assert facts["ordinary"]["waiting_by_class"] == {"P1": 12, "P3": 3_111}
    assert facts["police"]["claimed_at"] == "2026-11-23T08:00:00.375000Z"
    assert [e["type"] for e in facts["police"]["entries"]] == list(trail.STEPS)


@pytest.mark.parametrize(
    ("called", "typed"),
    [
        (lambda here: str(here / ".venv/bin/jubao"), ".venv/bin/jubao"),
        (lambda _: "/opt/jubao/bin/jubao", "/opt/jubao/bin/jubao"),
        (lambda _: "/opt/x/main.py", "jubao"),
    ],
)
def test_the_next_commands_can_be_typed_here(
    story: Story, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: Callable[[Path], str], typed: str
) -> None:
    """Commands name this very program, the directory if one was given, the address, the reviewer and the report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [called(tmp_path), "demo"])
    text = how_to_go_on(story, Path("my stack"), "http://127.0.0.1:8600")
    assert f"  TOKEN=$({typed} token demo-reviewer-1 --data 'my stack')\n" in text
    assert f"  {typed} audit search --report-id r-1 --data 'my stack'\n" in text
    assert "http://127.0.0.1:8600/review/v1/claims" in text
    assert "--data" not in how_to_go_on(story, None, "http://127.0.0.1:8600")
    assert shown._program() == typed
