"""Requests that were open before there were votes and policies: what the migration makes of them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from recovery.models import ApprovalRequest

pytestmark = pytest.mark.django_db(transaction=True)


def migrated_to(name: str) -> Any:
    """The models as they are after that migration."""
    executor = MigrationExecutor(connection)
    return executor.migrate([("recovery", name)]).apps


@pytest.fixture
def before() -> Iterator[Any]:
    yield migrated_to("0002_event_lanes")
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("recovery"))


def test_an_open_request_keeps_its_newest_proposal_and_expires_when_it_would_have(before):
    now = timezone.now()
    state = before.get_model("recovery", "State").objects.create(status="awaiting", created_at=now, updated_at=now)
    of_state = {"state": state, "checkpoint": 1, "opened_at": now}
    requests = before.get_model("recovery", "ApprovalRequest").objects
    later = now + timedelta(hours=1)
    asked = requests.create(address="a", title="Expires?", expires_at=later, **of_state)
    requests.create(address="b", title="Waits?", **of_state)
    requests.create(address="c", title="Over?", expires_at=later, outcome="reject", resolved_at=now, **of_state)
    for number in (1, 2):
        before.get_model("recovery", "ProposalVersion").objects.create(
            request=asked, number=number, args="null", digest=f"d{number}", created_at=now
        )
    migrated_to("0003_decision_protocol")
    rows = ApprovalRequest.objects.order_by("address").values_list("version", "digest", "attend_at", "open_to_all")
    assert list(rows) == [(2, "d2", later, True), (1, "", None, True), (1, "", None, True)]
