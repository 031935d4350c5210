"""Options that many commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

_P = ParamSpec("_P")
_R = TypeVar("_R")

_DATA_HELP = "Directory of the stack; default: JUBAO_DATA, else .jubao here."


def _own_or_groups(context: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
    """The option of the command itself, else the one given before it (`jubao --data DIR down`)."""
    ancestor = context.parent
    while value is None and ancestor is not None:
        value = ancestor.params.get("data")
        ancestor = ancestor.parent
    return value


def data_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """`--data DIR` as the argument `data`: a Path, or None when it was not given at all."""
    return click.option(
        "--data", type=click.Path(path_type=Path), metavar="DIR", help=_DATA_HELP, callback=_own_or_groups
    )(function)


def json_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """`--json` as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def data_directory(data: Path | None) -> Path:
    """The directory that is meant: the option, else JUBAO_DATA, else .jubao here."""
    from services.runtime.settings import Settings  # noqa: PLC0415 -- slow to import, and what is offline needs none

    return data or Settings().data
