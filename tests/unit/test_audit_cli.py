"""`jubao audit search` against an HTTP service of the test's own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from services.cli.commands.audit import command

ENTRIES = 2_500


class Log(BaseHTTPRequestHandler):
    """A log of entries that differ by index alone, in pages as audit gives them."""

    asked: ClassVar[list[dict[str, list[str]]]] = []

    def do_GET(self) -> None:
        """Answers a page."""
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append(query)
        start = int(query.get("cursor", ["0"])[0])
        end = min(start + int(query["limit"][0]), ENTRIES)
        entries = [{"index": n, "type": "t", "time": "now", "actor": "a", "detail": {}} for n in range(start, end)]
        body = json.dumps({"entries": entries, "next": str(end) if end < ENTRIES else None}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[list[dict[str, list[str]]]]:
    """What the command asks of a log that it is pointed at."""
    server = HTTPServer(("127.0.0.1", 0), Log)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("JUBAO_PUBLIC_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("JUBAO_DATA", str(tmp_path))
    monkeypatch.setenv("JUBAO_TOKEN", "token")
    Log.asked.clear()
    yield Log.asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_filter_is_asked_for(asked: list[dict[str, list[str]]]) -> None:
    """Each option becomes the filter of its name, and nothing is asked that was not given."""
    options = [
        "--report-id",
        "r",
        "--case",
        "c",
        "--content-id",
        "v",
        "--source-id",
        "s",
        "--actor",
        "a",
        "--type",
        "t",
    ]
    times = ["--event-id", "e", "--from", "2026-11-23T08:00:00+08:00", "--to", "2026-11-24T00:00:00Z", "--limit", "1"]
    result = CliRunner().invoke(command, ["search", *options, *times, "--json"])
    assert result.exit_code == 0, result.output
    assert asked == [
        {
            "report_id": ["r"], "case_id": ["c"], "content_id": ["v"], "source_id": ["s"], "actor": ["a"],
            "type": ["t"], "event_id": ["e"], "from": ["2026-11-23T08:00:00+08:00"], "to": ["2026-11-24T00:00:00Z"],
            "limit": ["1"],
        }
    ]  # fmt: skip


def test_pages_are_followed_up_to_the_limit(asked: list[dict[str, list[str]]]) -> None:
    """All pages are read, a limit cuts them, and whoever cuts is told that there is more."""
    everything = CliRunner().invoke(command, ["search", "--json", "--limit", "10000"])
    assert [entry["index"] for entry in json.loads(everything.stdout)] == list(range(ENTRIES))
    assert len(asked) == 3
    some = CliRunner().invoke(command, ["search", "--json", "--limit", "1200"])
    assert len(json.loads(some.stdout)) == 1_200
    assert "more than these 1200" in some.stderr


def test_people_read_a_line_an_entry(asked: list[dict[str, list[str]]]) -> None:
    """Without --json each entry is one line of a table, after its header."""
    result = CliRunner().invoke(command, ["search", "--limit", "3"])
    assert len(result.stdout.splitlines()) == 4
    assert len(asked) == 1
