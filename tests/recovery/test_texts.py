"""Texts that people, models and programs write: every database takes and refuses the same ones."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from pydantic import BaseModel, ConfigDict

from recovery import pipelines
from recovery.models import ApprovalRequest, AuditEntry, Decision, ProposalVersion, Resumption, State
from recovery.pipelines import pipeline
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.start_run import start_run
from rh_agents import ExecutionState, Question
from rh_agents.core.serialization import decode
from rh_agents.testing.samples import START
from tests.recovery.conftest import only_request, work
from tests.recovery.sample_pipelines import Refund, RefundInput

pytestmark = pytest.mark.django_db(transaction=True)
ORDER = {"order": "A-17", "amount": "420.00"}


class Meeting(BaseModel):
    model_config = ConfigDict(strict=True)

    at: datetime
    seats: int = 1


class Odd:
    """No JSON Schema says what it is."""


class Unwritable(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    odd: Odd | None = None
    order: str = "A-17"


@pytest.fixture
def run(monkeypatch):
    """Run a pipeline that asks one question, as far as it goes."""

    def start(make: Any) -> State:
        monkeypatch.setattr(pipelines, "_registry", {})

        @pipeline("asks", input_model=RefundInput, version="1")
        async def asks(order: RefundInput, state: ExecutionState) -> Any:
            return (await state.ask(make())).proposal

        return work(start_run("asks", ORDER).pk)

    return start


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"title": "a\x00b"}, "title"),
        ({"message": "\x00"}, "message"),
        ({"reason": "r" * 101}, "reason"),
        ({"action": "a" * 301}, "action"),
        ({"due_at": datetime.max.replace(tzinfo=UTC)}, "due_at"),
    ],
)
def test_a_question_that_cannot_be_stored_fails_its_run_and_names_the_field(run, fields, error):
    state = run(lambda: Question(**{"key": "k", "title": "?", **fields}))
    assert state.status == "failed"
    assert f"1 validation error for Question\n{error}\n" in state.error
    assert not ApprovalRequest.objects.exists()
    assert Resumption.objects.get().status == "failed"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"title": "t" * 501}, "ValueError: ApprovalRequest.title has 501 characters; at most 500 fit"),
        ({"message": "a\x00b"}, "ValueError: ApprovalRequest.message holds a NUL character"),
        ({"action": "\ud800"}, "ValueError: ApprovalRequest.action holds a lone surrogate, which is no text"),
    ],
)
def test_one_that_was_changed_after_it_was_checked_is_found_before_it_reaches_the_database(run, changed, error):
    state = run(lambda: Question(key="k", title="?").model_copy(update=changed))
    assert state.status == "failed"
    assert error in state.error
    assert not ApprovalRequest.objects.exists()


def test_the_name_of_a_proposals_class_may_be_longer_than_an_action(run):
    long = type("Refund" * 100, (Refund,), {"__module__": __name__})
    state = run(lambda: Question(key="k", title="?", proposal=long(order="A", amount=Decimal(1))))
    assert only_request(state).action == ("Refund" * 100)[:300]


def test_a_proposal_that_no_json_schema_describes_is_asked_about_all_the_same(run):
    state = run(lambda: Question(key="k", title="?", proposal=Unwritable()))
    assert (state.status, only_request(state).args_schema) == ("awaiting", "")


def test_a_strict_proposal_is_edited_in_json(run, ada):
    state = run(lambda: Question(key="k", title="?", proposal=Meeting(at=START)))
    decide(only_request(state).pk, by=ada, kind="edit", proposal={"at": "2026-02-01T00:00:00Z", "seats": 2})
    assert decode(work(state.pk).output) == Meeting(at=datetime(2026, 2, 1, tzinfo=UTC), seats=2)


def test_a_strict_input_is_given_in_json(monkeypatch):
    monkeypatch.setattr(pipelines, "_registry", {})

    @pipeline("strict", input_model=Meeting)
    async def strict(meeting: Meeting, state: ExecutionState) -> int:
        return meeting.seats

    state = start_run("strict", {"at": "2026-02-01T00:00:00Z", "seats": 3})
    assert decode(work(state.pk).output) == 3


def test_a_person_with_the_longest_name_decides(run_until_it_waits, ada):
    ada.first_name, ada.last_name = "A" * 150, "L" * 150
    ada.save()
    request = only_request(run_until_it_waits())
    decide(request.pk, by=ada, kind="edit", proposal=Refund(order="A-17", amount=Decimal(5)))
    name = f"{'A' * 150} {'L' * 49}"
    assert Decision.objects.get().actor_name == name
    assert ProposalVersion.objects.get(number=2).by_name == name


def test_the_audit_keeps_as_much_of_a_name_as_fits():
    class Somebody:
        def get_username(self) -> str:
            return "x" * 300

    with transaction.atomic():
        audit.record("tried", by=Somebody())
    assert AuditEntry.objects.get().actor == "x" * 200
    assert list(audit.broken_links()) == []


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (State(pipeline="p" * 201), "State.pipeline has 201 characters; at most 200 fit"),
        (State(pipeline_version="v" * 65), "State.pipeline_version has 65 characters"),
        (State(error="\x00"), "State.error holds a NUL character"),
        (ApprovalRequest(title="t", group="\ud800"), "ApprovalRequest.group holds a lone surrogate"),
        (ProposalVersion(by_name="n" * 201), "ProposalVersion.by_name has 201 characters"),
        (Decision(channel="c" * 21), "Decision.channel has 21 characters; at most 20 fit"),
        (Resumption(last_error="\x00"), "Resumption.last_error holds a NUL character"),
        (AuditEntry(action="a" * 51), "AuditEntry.action has 51 characters; at most 50 fit"),
    ],
)
def test_a_row_with_a_text_that_does_not_fit_is_refused_and_its_column_named(row, error):
    with pytest.raises(ValueError, match=error):
        row.save()
    assert not type(row).objects.exists()


def test_only_the_columns_that_are_saved_are_looked_at(run_until_it_waits):
    state = run_until_it_waits()
    state.error, state.lease_owner = "\x00", "somebody"
    state.save(update_fields=["lease_owner"])
    deferred = State.objects.only("id", "lease_owner").get()
    deferred.lease_owner = ""
    deferred.save()
    assert State.objects.get().lease_owner == ""
