"""The command `jubao`: which subcommands there are, and the edge where every error becomes one sentence."""

import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import click

from services.cli.errors import CliError


@dataclass(frozen=True)
class Entry:
    """Where a subcommand lives, and its line in `jubao --help`, which imports none of them."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "up": Entry("up", "command", "Start the embedded stack."),
    "down": Entry("down", "command", "Stop what `up` started; data stays."),
    "status": Entry("status", "command", "How services, queues and lags fare."),
    "demo": Entry("demo", "command", "Show the main job: thousands of reports, and a police report past them."),
    "import": Entry("import_", "command", "Put reports from a file on the public lane."),
    "source": Entry("source", "command", "Police, trusted flaggers and government: add, list, suspend."),
    "attester": Entry("attester", "command", "Keys of backends that attest reports themselves."),
    "report": Entry("report", "command", "Sign and submit a report as a source."),
    "staff": Entry("staff", "command", "Accounts of reviewers, auditors and the others."),
    "token": Entry("token", "command", "A bearer token for an account, valid 8 hours."),
    "queue": Entry("queue", "command", "The queues of cases."),
    "case": Entry("case", "command", "One case with its history."),
    "policy": Entry("policy", "command", "The priority policy: check, show."),
    "dead": Entry("dead", "command", "Dead letters: list, show, replay."),
    "audit": Entry("audit", "command", "Search the log."),
    "erase": Entry("erase", "command", "Erase what is kept of a reporter, an item or a report."),
    "hold": Entry("hold", "command", "Legal holds, which stop erasures."),
    "bench": Entry("bench", "command", "Figures on this machine, beside their goals."),
    "topics": Entry("topics", "command", "The Kafka topics: list, create."),
    "db": Entry("db", "command", "The database: upgrade, check."),
    "desk": Entry("desk", "command", "Keep a deployment's operator desk: the token between services stays fresh."),
    "serve": Entry("serve", "command", "Run services, as a deployment does."),
}


class LazyGroup(click.Group):
    """Imports a subcommand only when it is run: `up` needs none of what `serve` imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- likewise
        """The command of this name; none makes click say that there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"services.cli.commands.{entry.module}")
        command: click.Command = getattr(module, entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- likewise
        """The table's own lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="As with each command.")
@click.version_option(package_name="jubao")
def jubao(data: Path | None) -> None:
    """Jubao (举报): reports about content, classed, queued, decided, told back and logged."""


def main() -> None:
    """Runs the command; exit 0 when done, 1 when the work failed or a check did not hold, 2 on wrong use."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The command's exit code; every error is told in one sentence on standard error."""
    try:
        code = jubao.main(arguments, prog_name="jubao", standalone_mode=False)
    except click.ClickException as failed:
        _tell(failed, _sentence(failed))
        return failed.exit_code
    except (click.Abort, KeyboardInterrupt):
        return CliError.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain again while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as unforeseen:  # noqa: BLE001 -- the process edge: a person gets a sentence, never a traceback
        _tell(unforeseen, _setting_sentence(unforeseen) or _unforeseen_sentence(unforeseen))
        return CliError.exit_code
    return code if isinstance(code, int) else 0


def _sentence(failed: click.ClickException) -> str:
    """What failed; on wrong use, also where to look, and for a bare group its help."""
    said = failed.format_message()
    if not isinstance(failed, click.UsageError) or isinstance(failed, click.exceptions.NoArgsIsHelpError):
        return said
    path = failed.ctx.command_path if failed.ctx else "jubao"
    # click breaks what it lists into lines.
    return f"{' '.join(said.split()).rstrip('.')}; see `{path} --help`."


def _setting_sentence(error: Exception) -> str | None:
    """Which setting cannot be used, when that is what the error says."""
    from pydantic import ValidationError  # noqa: PLC0415 -- slow to import, and `--help` has no need of it

    if not isinstance(error, ValidationError) or error.title != "Settings":
        return None
    wrong = error.errors()[0]
    name = "_".join(str(part) for part in wrong["loc"]).upper()
    return f"The setting JUBAO_{name.removeprefix('JUBAO_')} cannot be used: {wrong['msg']}."


def _unforeseen_sentence(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"Unexpected {type(error).__name__}: {said}; run again with JUBAO_LOG_LEVEL=debug to see where."


def _tell(error: BaseException, sentence: str) -> None:
    if os.environ.get("JUBAO_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(error)
    click.echo(sentence, err=True)


if __name__ == "__main__":
    main()
