"""What commands print: JSON for programs, tables for people, progress on a terminal only."""

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType


def emit(data: Any, *, json: bool, table: Callable[[], "RenderableType"]) -> None:  # noqa: ANN401 -- any JSON value
    """Prints `data` as one line of JSON in UTF-8, or what `table` makes of it, on standard output."""
    if json:
        text = json_format.dumps(data, ensure_ascii=False, default=str)
        sys.stdout.buffer.write(f"{text}\n".encode())
        sys.stdout.buffer.flush()
        return
    shown = table()
    if isinstance(shown, str):
        # As it is: a token must not be broken into lines.
        click.echo(shown)
        return
    from rich.console import Console  # noqa: PLC0415 -- costs a tenth of a second, and only people need it

    Console(soft_wrap=not sys.stdout.isatty()).print(shown)


def say(text: str) -> None:
    """A line for a person, on standard error: standard output is for results."""
    click.echo(text, err=True)


def say_on_terminal(text: str) -> None:
    """The same for progress that only someone who watches wants to see."""
    if sys.stderr.isatty():
        say(text)


@contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """A line on a terminal that says what is being waited for, gone when the block ends; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status(text) as shown:
        yield shown.update


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, on standard error; elsewhere nothing.

    Args:
        what: what is being counted.
        total: how many there will be; none when that is unknown.

    Yields:
        A function that takes how many more are done.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)
