"""One check of schemathesis with two exceptions: it reads this file as its hooks.

Our tokens are put into every request after it is drawn. A request that was to go without one, and had nothing wrong but
a query parameter that nobody reads, is therefore right when it is sent; the tool forgives either, but not both at once.
Likewise a link from an earlier answer may put that answer's good values over the wrong ones of a body that was drawn.
"""

import json

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import negative_data_rejection

TOKEN = (ParameterLocation.HEADER, "required")
UNREAD = (ParameterLocation.QUERY, "additionalProperties")


@schemathesis.check
def wrong_data_is_rejected(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """What does not fit the description must not be answered as if it did."""
    mutations = getattr(case.meta.phase.data, "mutations", ()) if case.meta else ()
    wrong = {(mutation.parameter_location, keyword) for mutation in mutations for keyword in mutation.keywords}
    if wrong == {TOKEN, UNREAD} or (_only_of_body(wrong) and _body_fits(response, case)):
        return None
    return negative_data_rejection(ctx, response, case)


def _only_of_body(wrong: set[tuple[ParameterLocation | None, str]]) -> bool:
    locations = {location for location, _ in wrong - {TOKEN}}
    return locations == {ParameterLocation.BODY}


def _body_fits(response: Response, case: Case) -> bool:
    described = case.operation.get_body_for_media_type("application/json")
    sent = response.request.body
    if described is None or sent is None:
        return False
    try:
        body = json.loads(sent)
    except ValueError:
        return False
    return make_validator(described.optimized_schema, case.operation.schema.adapter.jsonschema_validator_cls).is_valid(
        body
    )
