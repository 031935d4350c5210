"""Settings that somebody gives to a stack that runs already, and that therefore do not count."""

from collections.abc import Mapping

from services.cli.stack.services import WEB
from services.cli.stack.state import StackState
from services.runtime.settings import Settings

_OURS = frozenset({"JUBAO_DATA", "JUBAO_DATABASE", "JUBAO_KAFKA", "JUBAO_BIND", "JUBAO_HEALTH"})


def ignored_settings(state: StackState | None, given: Mapping[str, str]) -> list[str]:
    """The names of settings that are given here and that the web process was not started with.

    Args:
        state: of the running stack.
        given: the environment of whoever asks. What the stack sets by itself, its addresses, is not looked at.
    """
    process = next((slot.process for slot in state.slots if slot.name == WEB and slot.process), None) if state else None
    lives = process.process() if process else None
    if lives is None:
        return []
    started_with = lives.environ()
    names = {f"JUBAO_{name.upper()}" for name in Settings.model_fields} - _OURS
    return sorted(name for name in names & given.keys() if started_with.get(name) != given[name])
