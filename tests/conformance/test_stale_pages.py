"""A reviewer who looks at a stale page is told what changed, and nothing runs."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from recovery.models import ApprovalRequest, Resolution, Resumption, State
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from recovery.services.sweep import sweep
from recovery.services.work import work_on_state
from rh_agents.core.serialization import decode
from tests.conformance.pipelines import words

pytestmark = [pytest.mark.conformance, pytest.mark.django_db(transaction=True)]


def only_request(state_id: uuid.UUID) -> ApprovalRequest:
    return ApprovalRequest.objects.open().get(state_id=state_id)


def test_approving_what_was_edited_meanwhile_is_412_with_the_change_and_nothing_runs(
    ada: Any, grace: Any, client: Client, folder: Path
):
    state_id = start_run("conformance-draft", {"folder": str(folder), "needed": 2}).pk
    work_on_state(state_id)
    decide(only_request(state_id).pk, by=ada, kind="approve", comment="begun")
    work_on_state(state_id)
    request = only_request(state_id)
    client.force_login(grace)
    seen = {"kind": "approve", "seen_version": "1"}
    # While grace reads the page, ada puts up another amount: her vote for it is the first of two.
    decide(request.pk, by=ada, kind="edit", proposal={"value": 9}, seen_version=1)

    refused = client.post(f"/requests/{request.pk}/decide/", seen)

    assert refused.status_code == 412
    page = refused.content.decode()
    assert "You were looking at version 1, now it is version 2. Nothing was decided." in page
    assert "value: 1" in page
    assert "value: 9" in page
    work_on_state(state_id)
    assert (sweep(), words(folder)) == (0, ["prepare", "draft"])
    assert not Resolution.objects.filter(request=request).exists()
    assert not Resumption.objects.filter(resolution__request=request).exists()
    # Having seen the new one, she decides about that.
    assert client.post(f"/requests/{request.pk}/decide/", seen | {"seen_version": "2"}).status_code == 302
    work_on_state(state_id)
    assert decode(State.objects.get(pk=state_id).output) == "begun: paid 9"
