"""`jubao audit`: what the log holds of a report, a case, an item, a source or a member of staff."""

from importlib import import_module
from typing import Final

import click

# Which file of `services.cli.auditing` has the subcommand of a name.
_FILES: Final = {
    "checkpoint": "newest",
    "disclose": "disclose",
    "export": "export",
    "key": "keys",
    "receipt": "receipt",
    "search": "search",
    "story": "story",
    "verify": "verify",
    "witness": "witness",
}


class _Audit(click.Group):
    """Loads a subcommand only when it is asked for: to verify an export takes nothing that talks to a stack."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """All commands by name."""
        return list(_FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- likewise
        """A command by its name."""
        if cmd_name not in _FILES:
            return None
        command: click.Command = getattr(import_module(f"services.cli.auditing.{_FILES[cmd_name]}"), cmd_name)
        return command


@click.group(name="audit", cls=_Audit)
def command() -> None:
    """The log of every event, in an order that no one changes."""
