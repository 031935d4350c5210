"""Statement codes of decisions."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.text import Code
from schemas.vocabulary import Action, Verdict
from services.outcomes.wording import statement_code


def test_nothing_done_is_said_by_the_verdict_alone() -> None:
    """A decision without actions has its verdict as its statement."""
    assert statement_code(Verdict.NO_VIOLATION, []) == "no_violation"


def test_the_weightiest_action_names_the_statement() -> None:
    """Of several actions the one that weighs most names the statement."""
    assert statement_code(Verdict.ILLEGAL, [Action.LABEL, Action.SUSPEND_ACCOUNT, Action.REMOVE]) == (
        "illegal.suspend_account"
    )


@given(st.sampled_from(Verdict), st.permutations(list(Action)), st.integers(1, len(Action)))
def test_the_order_of_actions_does_not_matter(verdict: Verdict, actions: list[Action], count: int) -> None:
    """The same actions in another order give the same statement."""
    some = actions[:count]
    assert statement_code(verdict, some) == statement_code(verdict, sorted(some))


def test_every_statement_fits_its_contract() -> None:
    """Every verdict with every action, also ones added later, has a code that the contract takes."""
    for verdict, action in itertools.product(Verdict, Action):
        code = statement_code(verdict, [action])
        assert TypeAdapter(Code).validate_python(code) == f"{verdict.value}.{action.value}"
