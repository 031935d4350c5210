"""Stacks for tests that use Jubao from outside."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.acceptance.stack import Stack, clean_environment


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One stack for all tests that do not need settings of their own."""
    with TemporaryDirectory(prefix="jubao-acceptance-", ignore_cleanup_errors=True) as directory:
        made = Stack(Path(directory), clean_environment())
        made.up()
        yield made
        made.down()


def _stacks(directory: Path) -> Iterator[Callable[..., Stack]]:
    made: list[Stack] = []

    def make(**settings: object) -> Stack:
        given = {f"JUBAO_{name.upper()}": str(value) for name, value in settings.items()}
        place = directory / str(len(made))
        place.mkdir()
        made.append(Stack(place, {**clean_environment(), **given}))
        made[-1].up()
        return made[-1]

    yield make
    for one in made:
        one.down()


@pytest.fixture
def new_stack() -> Iterator[Callable[..., Stack]]:
    """Makes stacks with settings of their own; each is gone after the test."""
    with TemporaryDirectory(prefix="jubao-acceptance-", ignore_cleanup_errors=True) as directory:
        yield from _stacks(Path(directory))


@pytest.fixture(scope="module")
def stack_with() -> Iterator[Callable[..., Stack]]:
    """As `new_stack`, for a whole module."""
    with TemporaryDirectory(prefix="jubao-acceptance-", ignore_cleanup_errors=True) as directory:
        yield from _stacks(Path(directory))
