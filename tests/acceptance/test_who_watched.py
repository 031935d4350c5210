"""Whoever looks is in the log soon after, and a police report's story is told in both languages."""

import json
from pathlib import Path

from tests.acceptance.stack import Stack

LOOKED = "jubao.activity.viewed.v1"


def test_looks_and_story(stack: Stack) -> None:
    """A search, a look at a case and a story each become an entry of the report; the story names all its entries."""
    police = stack.source("police", region="CN-31")
    report_id = stack.report(police, "v_watched", territory="CN-31")["report_id"]
    stack.until(lambda: stack.entries(report_id=report_id, type="jubao.case.opened.v1"), 60)
    with stack.http("who-watched-supervisor", "supervisor") as supervisor:
        (case,) = supervisor.get("/review/v1/cases", params={"content_id": "v_watched"}).json()["cases"]
        supervisor.get(f"/review/v1/cases/{case['id']}").raise_for_status()
    stack.jubao("audit", "story", report_id, "--lang", "zh")

    def looked() -> set[str]:
        return {entry["detail"]["what"] for entry in stack.entries(report_id=report_id, type=LOOKED)}

    stack.until(lambda: {"search", "case", "story"} <= looked(), 60)
    watched = stack.entries(actor="who-watched-supervisor", type=LOOKED)
    assert [(entry["detail"]["role"], entry["detail"]["what"]) for entry in watched] == [
        ("supervisor", "cases"),
        ("supervisor", "case"),
    ]
    assert watched[1]["case_id"] == case["id"]
    known = {entry["index"] for entry in stack.entries(report_id=report_id)}
    told = {lang: stack.ask("audit", "story", report_id, "--lang", lang) for lang in ("zh", "en")}
    for story in told.values():
        assert known <= {index for sentence in story["sentences"] for index in sentence["entries"]}
        assert "who-watched-supervisor" not in json.dumps(story)
    chinese = " ".join(sentence["text"] for sentence in told["zh"]["sentences"])
    assert police["id"] in told["zh"]["sentences"][0]["text"]
    for words in ("优先地区 CN-31", "举报经标记来源通道提交", "定为 P0 级", "查看案件", "日志中尚无决定"):
        assert words in chinese
    printed = stack.jubao("audit", "story", report_id, "--lang", "en").stdout
    assert "gave the report class P0" in printed
    assert "[log entries " in printed


def test_a_look_at_the_legal_holds(stack: Stack) -> None:
    """Whoever lists the legal holds is in the log soon after, with how many they were shown."""
    with stack.http("holds-supervisor", "supervisor") as supervisor:
        shown = supervisor.get("/audit/v1/holds", params={"limit": 1}).raise_for_status().json()["holds"]
    stack.until(lambda: stack.entries(actor="holds-supervisor", type=LOOKED), 60)
    (entry,) = stack.entries(actor="holds-supervisor", type=LOOKED)
    assert (entry["detail"]["what"], entry["detail"]["answered"]) == ("holds", len(shown))


def test_a_receipt_is_checked_without_the_stack(stack: Stack, tmp_path: Path) -> None:
    """A report's receipt, once a checkpoint covers its entries, is checked from the file and the keys alone."""
    report_id = stack.report(stack.source("police", region="CN-31"), "v_receipt")["report_id"]
    stack.until(lambda: stack.entries(report_id=report_id, type="jubao.case.opened.v1"), 60)
    file, keys = tmp_path / "receipt", tmp_path / "keys"

    def is_covered() -> bool:
        return stack.ask("audit", "receipt", report_id, "--out", file)["pending"] == 0

    stack.until(is_covered, 60)
    keys.write_text(json.loads(file.read_text())["keys"])
    checked = stack.ask("audit", "receipt", "--check", file, "--key", keys)
    own = {entry["index"] for entry in stack.entries(report_id=report_id) if entry.get("report_id") == report_id}
    assert checked["holds"]
    assert set(checked["proved"]) <= own
    assert len(checked["proved"]) >= 3
