"""What a supervisor makes of a readiness answer."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from services.cli.stack.probe import Standing, standing

ALARMED = {"waits": {"log": "it was set back"}, "alarms": ["log"]}


@contextmanager
def answering(path: Path, status: int, body: bytes) -> Iterator[str]:
    """One answer on a unix socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)

        thread = Thread(target=answer)
        thread.start()
        yield f"unix:{path}"
        thread.join(5)


@pytest.mark.parametrize(
    ("status", "told", "alarm"),
    [
        (503, ALARMED, "log: it was set back"),
        (503, {**ALARMED, "waits": {"log": "it was set back", "relay": "waits for Kafka"}}, ""),
        (503, {**ALARMED, "alarms": []}, ""),
        (503, {"waits": {"log": "waits for its turn to write"}}, ""),
        (503, {"waits": {}, "alarms": []}, ""),
        (200, ALARMED, ""),
        (500, ALARMED, ""),
        (503, ["log"], ""),
        (503, {"waits": 1, "alarms": 2}, ""),
    ],
)
def test_only_what_waits_for_nothing_but_a_person_is_an_alarm(
    tmp_path: Path, status: int, told: object, alarm: str
) -> None:
    """Where anything else is waited for too, or it is not said in so many words, there is no alarm."""
    with answering(tmp_path / "s", status, json.dumps(told).encode()) as address:
        found = standing(address, "/readyz")
    assert (found.alarm, found.waits if found.alarm else "") == (bool(alarm), alarm)
    assert (found.answers, found.ready) == (True, status == 200)


def test_nobody_who_answers_is_no_alarm(tmp_path: Path) -> None:
    """A process that does not answer yet raises nothing and waits for nobody."""
    assert standing(f"unix:{tmp_path / 'nobody'}", "/readyz") == Standing(answers=False)


def test_an_answer_that_is_no_json_is_no_alarm(tmp_path: Path) -> None:
    """Whoever answers in other words is waited for."""
    with answering(tmp_path / "s", 503, b"<html>") as address:
        assert standing(address, "/readyz") == Standing(answers=True)
