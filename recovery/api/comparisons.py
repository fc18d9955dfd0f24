"""Two states or checkpoints side by side."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import StringConstraints

from recovery.api.shapes import Refusal
from recovery.services.compare import compare_states
from recovery.services.compare.as_dict import as_dict

router = Router(tags=["compare"])

Reference = Annotated[str, StringConstraints(max_length=100)]


@router.get("", response={200: dict[str, Any], 404: Refusal})
def compare(request: HttpRequest, left: Query[Reference], right: Query[Reference]) -> dict[str, Any]:
    """What differs. Each side is the id of a state, or `<id>@<checkpoint>`.

    `counts` of what is the same, changed, removed, added and moved; `steps`, `storage` and `artifacts`, aligned by
    address and key, with `kind`, both sides and the `diff` of their values. 404 with `side` if one is not there.
    """
    return as_dict(compare_states(left, right))
