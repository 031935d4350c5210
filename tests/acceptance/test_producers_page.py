"""docs/producers.md, block by block as it stands, on a real stack: what a partner copies works."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack

PAGE = Path(__file__).parents[2] / "docs" / "producers.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "=== block"
ITEMS = ("v_7301", "v_aiokafka", "c_confluent", "v_signed", "v_attested")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word beside it, its text."""

    language: str
    word: str
    text: str


BLOCKS = [Block(language, word, text) for language, word, text in FENCE.findall(PAGE.read_text("utf-8"))]


def script() -> Iterator[str]:
    """The page as one script: files are written where the page shows them, commands run, each output after a mark."""
    yield "set -euo pipefail"
    for number, block in enumerate(BLOCKS):
        yield f"echo; echo '{MARK} {number}'"
        if block.language == "python":
            yield f"cat > {block.word} <<'END_OF_THE_FILE'\n{block.text}END_OF_THE_FILE"
        elif (block.language, block.word) == ("bash", ""):
            yield block.text


def outputs(printed: str) -> dict[int, str]:
    """What each block printed."""
    parts = re.split(rf"^{MARK} (\d+)\n", printed, flags=re.MULTILINE)[1:]
    return {int(number): text.strip() for number, text in zip(parts[::2], parts[1::2], strict=True)}


def expected() -> Iterator[tuple[int, Block]]:
    """Each answer that the page shows, with the number of the block that gives it."""
    for number, block in enumerate(BLOCKS):
        if block.word == "answer":
            yield number - 1, block


def reports_on(stack: Stack, item: str) -> int:
    """How many reports an item has, those of tests before this one among them."""
    with stack.http("producers-page", "supervisor") as http:
        found = http.get("/review/v1/cases", params={"content_id": item}).raise_for_status().json()["cases"]
    return sum(case["report_count"] for case in found)


def test_every_block_is_of_a_kind_that_is_run() -> None:
    """Every block is a command, a file, an answer, the installation of what tests have, or for the compose file."""
    kinds = {(b.language, b.word if b.language != "python" else Path(b.word).suffix) for b in BLOCKS}
    run = {("bash", ""), ("bash", "install"), ("bash", "compose"), ("python", ".py")}
    assert kinds == run | {("json", "answer"), ("text", "answer")}
    assert len(list(expected())) >= 6
    [install] = [block.text for block in BLOCKS if block.word == "install"]
    for package in install.split("pip install ")[1].split():
        assert version(package.strip("'").partition("[")[0])


def test_what_the_page_says_happens(stack: Stack, tmp_path: Path) -> None:
    """Run in order, the page's commands and files succeed and print what the page shows."""
    bash = shutil.which("bash")
    assert bash is not None
    before = {item: reports_on(stack, item) for item in ITEMS}
    environment = {
        **stack.environment,
        "HTTP": stack.answer["http"],
        "KAFKA": stack.answer["kafka"],
        "JUBAO_DATA": str(stack.data),
        "PATH": f"{Path(sys.executable).parent}:{stack.environment['PATH']}",
    }
    done = subprocess.run(
        [bash, "-c", "\n".join(script())],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}\n{stack.logs()}"
    printed = outputs(done.stdout)
    for number, block in expected():
        if block.language == "json":
            shown, answered = json.loads(block.text), json.loads(printed[number])
            assert {name: answered[name] for name in shown if name != "report_id"} | {"report_id": ""} == {
                **shown,
                "report_id": "",
            }
            assert set(answered) == set(shown)
        else:
            assert printed[number] == block.text.strip()
    assert json.loads((tmp_path / "again.json").read_text())["lane"] == "public"
    assert json.loads((tmp_path / "refused.json").read_text())["type"] == "urn:jubao:problem:report_id_reused"
    assert {item: reports_on(stack, item) for item in ITEMS} == {item: count + 1 for item, count in before.items()}


@pytest.mark.parametrize("name", ["docs/producers.md", "docs/producers.zh.md"])
def test_every_link_of_the_page_leads(name: str) -> None:
    """Each file that a producers' page links to is there."""
    page = PAGE.parents[1] / name
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
