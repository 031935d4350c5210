"""Deployments for the tests of the compose file; each is gone after the run."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.containers.deployment import Deployment, checkout
from tests.engines.reaper import project_prefix


@pytest.fixture(scope="session")
def clean_checkout() -> Iterator[Path]:
    """The repository as somebody clones it."""
    with TemporaryDirectory(prefix="jubao-checkout-") as directory:
        yield checkout(Path(directory))


@pytest.fixture(scope="session")
def deployment(clean_checkout: Path, containers_session: str) -> Iterator[Deployment]:
    """The compose file without a profile, up and healthy."""
    ours = project_prefix(containers_session)
    with Deployment(clean_checkout, f"{ours}-one", ours).running() as made:
        yield made
