"""One check of schemathesis with an exception: it reads this file as its hooks.

Our tokens are put into every request after it is drawn. A request that was to go without one, and had nothing wrong but
a query parameter that nobody reads, is therefore right when it is sent; the tool forgives either, but not both at once.
"""

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import negative_data_rejection

EXCHANGED = {(ParameterLocation.HEADER, "required"), (ParameterLocation.QUERY, "additionalProperties")}


@schemathesis.check
def wrong_data_is_rejected(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """What does not fit the description must not be answered as if it did."""
    mutations = getattr(case.meta.phase.data, "mutations", ()) if case.meta else ()
    wrong = {(mutation.parameter_location, keyword) for mutation in mutations for keyword in mutation.keywords}
    return None if wrong == EXCHANGED else negative_data_rejection(ctx, response, case)
