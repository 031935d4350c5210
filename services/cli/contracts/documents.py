"""The files of docs/contracts: what each must hold, and whether it does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.cli.contracts import built
from services.cli.contracts.asyncapi import document
from services.cli.contracts.events_page import events_page
from services.cli.contracts.http_page import http_page, problems_page

FOLDER: Final = Path(__file__).parents[3] / "docs" / "contracts"
# Written by hand; everything else in the folder is generated.
BY_HAND: Final = frozenset({"README.md"})


def generated() -> dict[str, str]:
    """Every generated file: its path from the folder, and the text it must have."""
    made = built.units_by_name()
    events = document(made)
    apps = {name.partition(".")[0]: unit.app for name, unit in made.items() if unit.app is not None}
    files = {"asyncapi/jubao.json": _text(events), "events.md": events_page(events)}
    for service, app in apps.items():
        calls = app.openapi()
        files |= {f"openapi/{service}.json": _text(calls), f"http-{service}.md": http_page(service, calls)}
        files["problems.md"] = problems_page(calls)
    return files


def drifted() -> list[str]:
    """The files that differ from what they must hold, are missing, or are nobody's."""
    files = generated()
    differing = [name for name, text in files.items() if not _holds(FOLDER / name, text)]
    return sorted(differing + [name for name in _present() if name not in files])


def write() -> None:
    """Makes all files what they must be, and removes those that are nobody's."""
    files = generated()
    for name in _present():
        if name not in files:
            (FOLDER / name).unlink()
    for name, text in files.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _present() -> list[str]:
    found = (path.relative_to(FOLDER).as_posix() for path in sorted(FOLDER.rglob("*")) if path.is_file())
    return [name for name in found if name not in BY_HAND]
