"""What was changed past the service is told as that, and not as what was logged."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.problems import Problem


class Altered(Problem):
    """What is kept of an entry was changed: no JSON as leaves are, or a private part that does not fit its promise."""

    def __init__(self, index: int) -> None:
        super().__init__(
            410,
            "altered",
            "It is not what was logged",
            f"What is kept of entry {index} is not what was logged: somebody changed it past the service, so it is not "
            "handed out. `jubao audit verify` tells all that differs; a backup may have what was logged.",
            extra={"index": index},
        )


@contextmanager
def reading(index: int) -> Iterator[None]:
    """While an entry's leaf is read: what is no leaf as we write them raises Altered."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as odd:
        raise Altered(index) from odd
