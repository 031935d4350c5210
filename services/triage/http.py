"""What triage answers over HTTP: the policy in force, so that anybody on the staff can see why a report came first."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from schemas.triage import ClassName
from services.triage.classing import Policy


class ClassShown(BaseModel):
    """A class: how soon its reports are to be decided, and where they wait unless a route says otherwise."""

    target_seconds: int
    queue: str


class RuleShown(BaseModel):
    """A rule: the first whose condition holds gives the class."""

    id: str
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")]
    when: str
    note: str | None = None


class RouteShown(BaseModel):
    """A route: the first whose condition holds gives the queue."""

    queue: str
    when: str


class PolicyShown(BaseModel):
    """The policy in force, as the file was written and as it was read."""

    policy: str
    version: str
    sha256: str
    text: str
    classes: dict[str, ClassShown]
    rules: list[RuleShown]
    routing: list[RouteShown]


def shown(policy: Policy) -> PolicyShown:
    """A policy as it is answered."""
    return PolicyShown(
        policy=policy.name,
        version=policy.version,
        sha256=policy.sha256,
        text=policy.text,
        classes={
            name: ClassShown(target_seconds=terms.target_seconds, queue=terms.queue)
            for name, terms in policy.classes.items()
        },
        rules=[
            RuleShown(id=rule.id, when=rule.condition.text, note=rule.note, **{"class": rule.terms.name})
            for rule in policy.rules
        ],
        routing=[RouteShown(queue=route.queue, when=route.condition.text) for route in policy.routes],
    )


def routes(policy: Policy) -> APIRouter:
    """The routes of the policy in force."""
    router = APIRouter(tags=["policy"])
    answer = shown(policy)

    @router.get("/v1/policy", summary="The policy in force")
    async def read_policy() -> PolicyShown:
        return answer

    return router
