"""The README's pipeline, run as it stands there."""

import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from recovery import pipelines
from recovery.models import ApprovalRequest, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode, register_type

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.django_db
def test_the_pipeline_of_the_readme_asks_and_pays_what_the_reviewer_wrote():
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {"__name__": "readme"}
    exec(code, names)
    try:
        for model in (names["Order"], names["Refund"]):
            register_type(model)
        run = start_run("refunds", {"number": "A-17", "paid": "420.00"})
        work_on_state(run.pk)
        ada = get_user_model().objects.create_user("ada")
        ada.user_permissions.set(Permission.objects.filter(codename="decide_approvalrequest"))
        request = ApprovalRequest.objects.get(state=run)
        decide(request.pk, by=ada, kind="edit", proposal={"order": "A-17", "amount": "99.50"})
        work_on_state(run.pk)
        state = State.objects.get(pk=run.pk)
    finally:
        pipelines.unregister("refunds")
    assert request.title == "Refund 420.00 for A-17?"
    assert (state.status, decode(state.output)) == (
        "completed",
        f"paid 99.50 for A-17 as {run.pk}:pay::tool_call",
    )
