"""Which statement of reasons a decision calls for: a code, for pages and messages to put into words."""

from collections.abc import Iterable
from typing import Final

from schemas.vocabulary import Action, Verdict

# A statement speaks of the action that weighs most on whoever is judged; the others are listed beneath it.
_WEIGHTIEST_FIRST: Final = (
    Action.TERMINATE_ACCOUNT,
    Action.SUSPEND_ACCOUNT,
    Action.REMOVE,
    Action.DISABLE_ACCESS,
    Action.SUSPEND_MONETISATION,
    Action.LIMIT_INTERACTION,
    Action.AGE_RESTRICT,
    Action.DEMOTE,
    Action.LABEL,
)


def statement_code(verdict: Verdict, actions: Iterable[Action]) -> str:
    """The statement's code: the verdict alone where nothing is done, else `<verdict>.<weightiest action>`.

    >>> statement_code(Verdict.ILLEGAL, [Action.LABEL, Action.REMOVE])
    'illegal.remove'
    """
    taken = min(actions, key=_WEIGHTIEST_FIRST.index, default=None)
    return verdict.value if taken is None else f"{verdict.value}.{taken.value}"
