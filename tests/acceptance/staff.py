"""An account of every role on a stack, for tests that call as each of them."""

from schemas.access import ROLES
from tests.acceptance.stack import Stack


def tokens_of_all_roles(stack: Stack) -> dict[str, str]:
    """A bearer token of each role; the police account's is bound to a source of its own."""
    if "access-police" not in stack.tokens:
        stack.token("access-police", "police", source=stack.source("police", quota=1_000_000)["id"])
    return {role: stack.token(f"access-{role}", role) for role in ROLES}
