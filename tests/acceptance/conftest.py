"""Stacks for tests that use Jubao from outside."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.acceptance.stack import Stack, clean_environment
from tests.engines.stacks import StackEngines


@pytest.fixture(scope="session")
def stack(engines_of: Callable[[Path], StackEngines]) -> Iterator[Stack]:
    """One stack for all tests that do not need settings of their own."""
    with TemporaryDirectory(prefix="jubao-acceptance-", ignore_cleanup_errors=True) as directory:
        made = Stack(Path(directory), clean_environment(), engines_of)
        made.up()
        yield made
        made.down()
        made.engines.remove()


def _stacks(directory: Path, engines_of: Callable[[Path], StackEngines]) -> Iterator[Callable[..., Stack]]:
    made: list[Stack] = []

    def make(**settings: object) -> Stack:
        given = {f"JUBAO_{name.upper()}": str(value) for name, value in settings.items()}
        place = directory / str(len(made))
        place.mkdir()
        made.append(Stack(place, {**clean_environment(), **given}, engines_of))
        made[-1].up()
        return made[-1]

    yield make
    for one in made:
        one.down()
        one.engines.remove()


@pytest.fixture
def new_stack(engines_of: Callable[[Path], StackEngines]) -> Iterator[Callable[..., Stack]]:
    """Makes stacks with settings of their own; each is gone after the test."""
    with TemporaryDirectory(prefix="jubao-acceptance-", ignore_cleanup_errors=True) as directory:
        yield from _stacks(Path(directory), engines_of)


@pytest.fixture(scope="module")
def stack_with(engines_of: Callable[[Path], StackEngines]) -> Iterator[Callable[..., Stack]]:
    """As `new_stack`, for a whole module."""
    with TemporaryDirectory(prefix="jubao-acceptance-", ignore_cleanup_errors=True) as directory:
        yield from _stacks(Path(directory), engines_of)
