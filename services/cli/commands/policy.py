"""`jubao policy`: checks a priority policy before it comes into force, and shows the one that is."""

from pathlib import Path
from typing import Any

import click

from services.cli.client import client
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of


class PolicyDoesNotHold(CliError):
    """A policy file has mistakes, each of which was told in a line of its own."""

    def __init__(self, file: Path, count: int) -> None:
        self.file = file
        self.count = count
        them = "the mistake" if count == 1 else f"the {count} mistakes"
        super().__init__(f"{file} is not a policy; mend {them} and check again.")


@click.group(name="policy")
def command() -> None:
    """The priority policy: which report comes first, and why."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@json_option
def check(file: Path, data: Path | None, *, as_json: bool) -> None:
    """Tell every mistake in FILE with its line; exit 0 where there is none, 1 otherwise."""
    del data  # taken as by every command; a file is checked without a stack
    from services.triage import policy, policy_file  # noqa: PLC0415 -- CEL and YAML are slow to import
    from services.triage.mistake import PolicyRefused, PolicyUnreadable  # noqa: PLC0415

    try:
        loaded = policy.load(policy_file.read(file), str(file))
    except PolicyUnreadable as unreadable:
        if unreadable.missing:
            raise click.BadParameter(f"{file}: {unreadable.why}; name a policy file", param_hint="FILE") from unreadable
        raise CliError(f"{file} cannot be read ({unreadable.why}); name a policy file readable by you.") from unreadable
    except PolicyRefused as refused:
        told = str(refused)
        mistakes = [{"line": m.line, "column": m.column, "what": m.what} for m in refused.mistakes]
        emit({"ok": False, "mistakes": mistakes}, json=as_json, table=lambda: told)
        raise PolicyDoesNotHold(file, len(mistakes)) from refused
    summary = {
        "ok": True,
        "policy": loaded.name,
        "version": loaded.version,
        "sha256": loaded.sha256,
        "classes": len(loaded.classes),
        "rules": len(loaded.rules),
        "routes": len(loaded.routes),
        "mistakes": [],
    }
    said = (
        f"{file}: policy {loaded.name}, version {loaded.version}: {len(loaded.rules)} rules, "
        f"{len(loaded.routes)} routes, {len(loaded.classes)} classes; no mistake"
    )
    emit(summary, json=as_json, table=lambda: said)


@command.command()
@data_option
@json_option
def show(data: Path | None, as_json: bool) -> None:  # noqa: FBT001 -- a flag of the command
    """The policy in force, as triage answers it."""
    with client(data, role="supervisor") as service:
        found: dict[str, Any] = service.get("/triage/v1/policy").json()
    if as_json:
        emit(found, json=True, table=lambda: "")
        return
    emit(None, json=False, table=lambda: f"policy {found['policy']}, version {found['version']}, {found['sha256']}\n")
    classes = [{"class": name, **terms} for name, terms in found["classes"].items()]
    emit(None, json=False, table=lambda: table_of(classes, ["class", "target_seconds", "queue"]))
    emit(None, json=False, table=lambda: "")
    emit(None, json=False, table=lambda: table_of(found["rules"], ["id", "class", "when"]))
