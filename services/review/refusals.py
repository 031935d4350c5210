"""Refusals of review as problem details: who is told what, under which status."""

from services.review.decision import AlreadyDecided, Refusal, SecondReviewerNeeded, StaleLease
from services.review.leasing import LeaseLost
from services.review.store.decisions import CaseUnknown
from services.runtime.problems import Problem

RefusedHere = (Refusal, LeaseLost, CaseUnknown)


class ReportUnknown(Problem):
    """No case has the report, or not yet."""

    def __init__(self) -> None:
        super().__init__(
            404, "report_unknown", "No such report", "No case has this report; if it was sent just now, ask again."
        )


def problem_of(refusal: Refusal | LeaseLost | CaseUnknown) -> Problem:
    """The answer to a refused request."""
    told = str(refusal)
    match refusal:
        case SecondReviewerNeeded():
            errors = [{"loc": "body.actions", "msg": told}]
            return Problem(422, "second_reviewer_needed", "A second reviewer is needed", told, extra={"errors": errors})
        case StaleLease() | LeaseLost():
            return Problem(409, "lease_lost", "The lease does not hold", told)
        case AlreadyDecided():
            return Problem(409, "already_decided", "The case is decided", told)
        case CaseUnknown():
            return Problem(404, "case_unknown", "No such case", told)
        case _:
            return Problem(409, "refused", "Refused", told)
