"""Proposals of all sizes: as fields, as JSON where they are long, and by parts where they have megabytes."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from pydantic import BaseModel, Field

from recovery.models import ApprovalRequest, AutoRule, Decision, Risk
from recovery.pipelines import pipeline
from recovery.services.decide import decide
from recovery.services.questions import current_version, proposal_of
from rh_agents import ExecutionState, Question
from rh_agents.core.serialization import decode
from tests.recovery.conftest import work
from tests.recovery.sample_pipelines import RefundInput
from tests.web.pages import read
from tests.web.request_pages import form_in, look, panel, post

pytestmark = pytest.mark.django_db


COUNTS: list[int] = []


class Entry(BaseModel):
    sku: str
    price: Decimal = Field(gt=0)


class Order(BaseModel):
    note: str
    entries: list[Entry]


def of(count):
    return Order(note="all of it", entries=[Entry(sku=f"sku-{n}", price=Decimal("1.00")) for n in range(count)])


@pipeline("test-large", input_model=RefundInput, version="1")
async def large(data: RefundInput, state: ExecutionState) -> str:
    """Asks about as many entries as the test wants."""
    proposal = of(COUNTS[-1])
    answer = await state.ask(Question(key="order", title="All of these?", proposal=proposal, action="shop.order"))
    return f"{answer.kind}: {len(answer.proposal.entries)} of {answer.proposal.note}"


@pytest.fixture
def asked(run_until_it_waits):
    def ask(count):
        COUNTS.append(count)
        state = run_until_it_waits("test-large")
        return ApprovalRequest.objects.get(state_id=state.pk)

    return ask


# ---- As JSON, because somebody wants to ----


def test_what_was_typed_goes_along_into_the_json_and_is_decided_from_there(asked, ada_at, htmx):
    request = asked(2)
    data = form_in(look(ada_at, request)) | {"proposal.note": "half", "proposal.entries.1.price": "7.5"}
    page = read(post(ada_at, request, data | {"proposal:view": "json"}))
    shown = form_in(page)
    assert (shown["proposal:layout"], shown["proposal.note"]) == ("json", '"half"')
    entries = json.loads(shown["proposal.entries"])
    assert entries[1]["price"] == {"$t": "decimal", "v": "7.5"} or "7.5" in str(entries[1]["price"])
    entries.append({"sku": "new", "price": "3"})
    wrong = json.dumps([*entries, {"sku": "x", "price": "-3"}])
    answer = post(ada_at, request, shown | {"proposal.entries": wrong, "kind": "approve"}, headers=htmx)
    assert answer.status_code == 422
    part = read(answer)
    assert "3.price: This must be greater than 0." in part.one("div", id="proposal-entries-error").text
    assert form_in(part)["proposal.entries"] == wrong
    assert (
        post(ada_at, request, shown | {"proposal.entries": json.dumps(entries), "kind": "approve"}).status_code == 302
    )
    assert decode(work(request.state_id).output) == "edit: 3 of half"


def test_json_that_nobody_edited_is_approved_as_it_was(asked, ada_at):
    request = asked(2)
    page = read(post(ada_at, request, form_in(look(ada_at, request)) | {"proposal:view": "json"}))
    assert page.all("button", id="proposal-fields")
    assert not Decision.objects.exists()
    assert post(ada_at, request, form_in(page) | {"kind": "approve"}).status_code == 302
    assert Decision.objects.get().kind == "approve"
    assert proposal_of(current_version(request)) == of(2)


def test_the_way_back_to_the_fields_is_there_while_nothing_would_be_lost(asked, ada_at):
    request = asked(1)
    page = read(post(ada_at, request, form_in(look(ada_at, request)) | {"proposal:view": "json"}))
    fields = read(post(ada_at, request, form_in(page) | {"proposal:view": "fields"}))
    assert "proposal.entries.0.price" in form_in(fields)
    edited = read(post(ada_at, request, form_in(page) | {"proposal.note": '"new"', "proposal:check": ""}))
    assert not edited.all("button", id="proposal-fields")


# ---- Because it is long ----


def test_what_has_more_values_than_a_page_has_room_for_is_json_and_says_so(asked, ada_at):
    request = asked(1200)
    page = look(ada_at, request)
    assert "It has more values than a page has room for fields" in panel(page, "Proposal").text
    data = form_in(page)
    assert len(data) < 20
    entries = json.loads(data["proposal.entries"])
    data["proposal.entries"] = json.dumps(entries[:5])
    assert post(ada_at, request, data | {"kind": "approve"}).status_code == 302
    assert decode(work(request.state_id).output) == "edit: 5 of all of it"


# ---- Because it has megabytes ----


def test_megabytes_are_looked_into_by_parts_and_decided_on_as_a_whole(
    asked, ada_at, htmx, django_assert_max_num_queries
):
    request = asked(30_000)
    args = current_version(request).args
    assert len(args) > 2_000_000
    with django_assert_max_num_queries(9):
        answer = ada_at.get(f"/requests/{request.pk}/")
    assert len(answer.content) < 60_000
    page = read(answer)
    assert "It is too large to be edited here" in panel(page, "Proposal").text
    url = page.one("div", hx_trigger="load").attrs["hx-get"]
    part = read(ada_at.get(url, headers=htmx))
    assert '"sku-0"' in part.text and "29,900 more" in part.text
    found = read(ada_at.get(url, {"of": "now", "find": "sku-29999"}, headers=htmx))
    assert '"sku-29999"' in found.text and '"sku-1"' not in found.text
    more = part.all("li", class_="json-more")[0].one("a").attrs["hx-get"]
    assert '"sku-100"' in read(ada_at.get(more, headers=htmx)).text
    kept = ada_at.get(f"/requests/{request.pk}/proposal/download/")
    assert len(json.loads(kept.content)["entries"]) == 30_000
    assert kept["Content-Disposition"].startswith('attachment; filename="shop.order-')
    assert kept["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert post(ada_at, request, form_in(page) | {"kind": "approve"}).status_code == 302
    assert decode(work(request.state_id).output) == "approve: 30000 of all of it"
    assert len(ada_at.get(f"/requests/{request.pk}/").content) < 60_000


def test_who_may_only_look_can_look_into_megabytes_too(asked, make_user, signed_in):
    page = look(signed_in(make_user("vera", decides=False)), asked(30_000))
    assert panel(page, "Proposal").one("div", hx_trigger="load")
    assert not page.all("form", id="approve-form")


def test_a_large_proposal_of_unknown_types_has_a_page(asked, ada_at):
    request = asked(30_000)
    request.question = "{"
    request.save()
    request.versions.update(args='{"$t": "model", "c": "gone:Order", "v": {"note": "' + "x" * 300_000 + '"}}')
    page = ada_at.get(f"/requests/{request.pk}/")
    assert page.status_code == 200 and len(page.content) < 60_000


def test_a_rule_decides_about_megabytes(asked):
    AutoRule.objects.create(
        name="all of it",
        pipeline="test-large",
        conditions=[{"path": "note", "is": "equals", "value": "all of it"}],
        created_by=get_user_model().objects.create_superuser("alex"),
        starts_at=timezone.now() - timedelta(days=1),
        ends_at=timezone.now() + timedelta(days=1),
        max_uses=3,
        max_risk=Risk.MEDIUM,
    )
    request = asked(30_000)
    assert request.outcome == "approve"
    decided = Decision.objects.get(request=request)
    assert (decided.actor_kind, decided.actor_name) == ("rule", "all of it")


def test_a_vote_for_another_version_of_megabytes_is_refused_quickly(asked, ada, grace, ada_at):
    request = asked(30_000)
    page = look(ada_at, request)
    decide(request.pk, by=grace, kind="approve")
    assert post(ada_at, request, form_in(page) | {"kind": "approve"}).status_code == 409
