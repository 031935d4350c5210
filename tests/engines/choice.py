"""Which tests a run takes, by what its engines run in; what it leaves is said at its end, with the reason."""

from collections import Counter

import pytest

_NEED_DOCKER = "they start containers: `make test-containers`"
_NEED_NO_ENGINE = "they need no engine: `make test`"
_ENGINES = {"postgres_dsn", "kafka_address", "engines_of"}


class EnginesChoice:
    """A plugin of one run.

    Args:
        engines: `embedded` or `containers`.
    """

    def __init__(self, engines: str) -> None:
        self._in_containers = engines == "containers"
        self._left: Counter[str] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        reasons = [(item, self._reason_against(item)) for item in items]
        self._left.update(reason for _, reason in reasons if reason)
        if left := [item for item, reason in reasons if reason]:
            config.hook.pytest_deselected(items=left)
            items[:] = [item for item, reason in reasons if not reason]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self._in_containers or not session.items or session.config.option.collectonly:
            return
        # The Docker client is of no use to a run without containers.
        from tests.engines.containers import KAFKA_IMAGE, POSTGRES_IMAGE, images_at_hand  # noqa: PLC0415

        images_at_hand((POSTGRES_IMAGE, KAFKA_IMAGE))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reason, count in self._left.items():
            terminalreporter.write_line(f"{count} tests were left out: {reason}")

    def _reason_against(self, item: pytest.Item) -> str:
        containers = item.get_closest_marker("containers") is not None
        if not self._in_containers:
            return _NEED_DOCKER if containers else ""
        if mark := item.get_closest_marker("embedded"):
            return f"about the embedded engines alone, {mark.args[0]}"
        # With the fixtures of fixtures; what a test asks for while it runs is not among them.
        asked = getattr(item, "fixturenames", ())
        return "" if containers or _ENGINES & set(asked) else _NEED_NO_ENGINE
