"""The door for programs: `/api/v1/`. The same services as the pages, with plain JSON in and out."""

from ninja import NinjaAPI

from recovery.api import comparisons, dead_letters, pipelines, requests, states
from recovery.api.access import SignedIn, for_docs
from recovery.api.refusals import answer_refusals

DESCRIPTION = """
Runs, what they ask, and deciding about it.

Sign in as in the browser; what writes needs the header `X-CSRFToken`. Values are plain JSON: a decimal is its text, a
date is ISO 8601. Lists give `items` and `next_cursor`, which is `null` on the last page.

Every error is `{"code", "message", ...}`: 401 `not_signed_in`, 403 `not_allowed`, 404 `not_found` or
`unknown_pipeline`, 409 `already_resolved`, `pipeline_gone`, `not_waiting`, `held`, `one_by_one`, `not_undoable`,
`not_retryable`, `not_cancellable`, `not_stuck`, `other_version` or `not_acted_on`, 412 `stale`, 422 `invalid_input`
with `errors` by dotted path.
"""

api = NinjaAPI(
    title="rhdashboard",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    auth=SignedIn(),
    docs_decorator=for_docs,
)
answer_refusals(api)
api.add_router("/states", states.router)
api.add_router("/dead-letters", dead_letters.router)
api.add_router("/requests", requests.router)
api.add_router("/compare", comparisons.router)
api.add_router("/pipelines", pipelines.router)
