"""What is done about a request without deciding it: talk, hold, hand on, escalate; and taking a decision back."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from recovery.models import ApprovalRequest, Decision, Resolution, Resumption, State
from recovery.services.decide import decide
from rh_agents import Policy
from rh_agents.core.serialization import decode
from tests.recovery.conftest import only_request, work
from tests.web.decision_pipelines import POLICIES
from tests.web.pages import Element, as_of_now, entered_in, read
from tests.web.request_pages import form_in, look, notices, panel, post, written

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_policy():
    yield
    POLICIES.clear()


@pytest.fixture
def asked(run_until_it_waits):
    def ask(pipeline="test-decided", **policy) -> ApprovalRequest:
        POLICIES["now"] = Policy(**policy)
        return only_request(run_until_it_waits(pipeline))

    return ask


def act(client, request, kind, data=None, **options):
    return client.post(f"/requests/{request.pk}/act/", {"kind": kind} | (data or {}), **options)


def say(client, request, text, **options):
    form = panel(look(client, request), "Discussion").one("form")
    return client.post(form.attrs["action"].partition("#")[0], entered_in(form) | {"comment": text}, **options)


def note(page: Element) -> str:
    return page.one("div", id="decision-note").text


# ---- Discussion ----


def test_a_comment_is_there_and_decides_nothing(asked, ada, grace, ada_at, signed_in):
    request = asked()
    answer = say(ada_at, request, "<b>Mind</b>\nthe gap")
    assert (answer.status_code, answer["Location"]) == (302, f"/requests/{request.pk}/#discussion")
    say(signed_in(grace), request, "I do.")
    page = look(ada_at, request)
    said = [as_of_now(one.text) for one in panel(page, "Discussion").one("ol", class_="thread").all("li")]
    assert said == ["ada, just now <b>Mind</b> the gap", "grace, just now I do."]
    assert panel(page, "Discussion").one("header").text == "Discussion 2 comments"
    assert len(panel(page, "Policy and votes").one("ul", class_="votes").all("li")) == 1
    assert not Resolution.objects.exists()


def test_who_may_only_look_may_comment_and_so_may_anybody_after_the_decision(asked, ada, make_user, signed_in):
    request = asked()
    decide(request.pk, by=ada, kind="approve")
    vera = signed_in(make_user("vera", decides=False))
    say(vera, request, "Late, but still.")
    assert "Late, but still." in panel(look(vera, request), "Discussion").text


def test_an_empty_comment_is_asked_for_again_and_one_that_cannot_be_kept_is_not_lost(asked, ada_at, htmx):
    request = asked()
    before = written()
    assert "Write something first." in panel(read(say(ada_at, request, " ")), "Discussion").text
    answer = say(ada_at, request, "a\x00b", headers=htmx)
    assert answer.status_code == 422
    field = read(answer).one("textarea", id="say")
    assert (field.attrs["aria-invalid"], "b" in field.text) == ("true", True)
    assert written() == before


def test_htmx_is_given_the_discussion_alone_and_a_double_click_is_one_comment(asked, ada_at, htmx):
    request = asked()
    form = panel(look(ada_at, request), "Discussion").one("form")
    data = entered_in(form) | {"comment": "once"}
    answers = [ada_at.post(f"/requests/{request.pk}/comment/", data, headers=htmx) for _ in range(2)]
    part = read(answers[0])
    assert [one.attrs["id"] for one in part.children if isinstance(one, Element)] == ["discussion", "announcer"]
    assert "autofocus" in part.one("textarea", id="say").attrs
    assert Decision.objects.filter(kind="comment").count() == 1


# ---- Holding and handing on ----


def test_who_holds_it_is_said_to_everybody_and_another_is_refused(asked, ada, grace, ada_at, signed_in, htmx):
    request = asked()
    part = read(act(ada_at, request, "claim", headers=htmx))
    assert note(part) == "You hold it now; others see that."
    assert "held by You" in part.one("header", id="request-head").text
    assert note(look(ada_at, request)).startswith("Held by you for ")
    at_grace = signed_in(grace)
    assert note(look(at_grace, request)).startswith("Held by ada for ")
    answer = act(at_grace, request, "claim", headers=htmx)
    assert answer.status_code == 409
    assert note(read(answer)).startswith("Somebody else holds it. ada holds it since 0 min.")
    answer = act(at_grace, request, "claim")
    assert answer.status_code == 409
    assert notices(read(answer))[0].startswith("Somebody else holds it.")
    request.refresh_from_db()
    assert request.holder == ada
    assert "Hold it" not in look(ada_at, request).one("details", id="more").text
    act(ada_at, request, "release")
    request.refresh_from_db()
    assert request.holder is None


def test_it_is_handed_on_to_one_of_those_who_may_decide(asked, ada, grace, make_user, ada_at):
    make_user("vera", decides=False)
    request = asked()
    link = look(ada_at, request).one("p", id="hand-on").one("a")
    form = read(ada_at.get(link.attrs["href"])).one("select", id="delegate-to")
    assert [one.text for one in form.all("option")] == ["Choose…", "grace"]
    answer = act(ada_at, request, "delegate", {"delegate_to": str(grace.pk), "comment": "yours"}, follow=True)
    assert notices(read(answer)) == ["You handed it on to grace."]
    votes = panel(read(answer), "Policy and votes").one("ul", class_="votes").all("li")
    assert as_of_now(votes[-1].text) == "You Handed on to grace just now yours"
    request.refresh_from_db()
    assert request.holder == grace


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("delegate", {"delegate_to": ""}, "Say to whom."),
        ("delegate", {"delegate_to": "²"}, "Say to whom."),
        ("delegate", {"delegate_to": "987654321"}, "Say to whom."),
        ("escalate", {}, "The policy names nobody that it could be escalated to."),
        ("release", {}, "You do not hold it."),
        ("withdraw", {}, "You have no vote here to take back."),
        ("approve", {}, "Nothing is done by 'approve'; there are: claim, release, delegate, escalate, withdraw."),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(asked, ada_at, kind, data, said, htmx):
    request = asked()
    before = written()
    answer = act(ada_at, request, kind, data, headers=htmx)
    assert (answer.status_code, note(read(answer))) == (422, said)
    assert said in read(act(ada_at, request, kind, data)).one("div", id="decision-note").text
    assert written() == before


def test_it_is_escalated_once_to_those_that_the_policy_names(asked, grace, ada_at, signed_in):
    grace.groups.add(Group.objects.create(name="finance"))
    request = asked(users={"ada"}, escalate_to={"finance"}, escalate_after_s=3600)
    assert not look(signed_in(grace), request).all("form", id="approve-form")
    assert look(ada_at, request).one("button", id="escalate").text == "Escalate to finance"
    assert act(ada_at, request, "escalate").status_code == 302
    page = look(ada_at, request)
    assert not page.all("button", id="escalate")
    assert "It is escalated: finance may decide, too." in panel(page, "Policy and votes").text
    assert look(signed_in(grace), request).one("form", id="approve-form")


def test_an_act_on_what_was_decided_meanwhile_says_who_was_first(asked, grace, ada_at, htmx):
    request = asked()
    decide(request.pk, by=grace, kind="approve")
    answer = act(ada_at, request, "claim", headers=htmx)
    assert answer.status_code == 409
    assert as_of_now(note(read(answer))).startswith("grace approved this just now.")
    assert notices(read(act(ada_at, request, "claim")))[0].startswith("grace approved this")


# ---- Undo ----


def let_it_go_on(request: ApprovalRequest) -> State:
    Resumption.objects.filter(state=request.state_id, status="pending").update(not_before="2026-01-01T00:00Z")
    return work(request.state_id)


def test_only_whoever_decided_is_offered_to_undo_while_the_run_waits(asked, grace, ada_at, signed_in, htmx):
    request = asked(undo_window_s=3000)
    post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"})
    bar = look(ada_at, request).one("section", id="progress")
    assert "Approved. The run starts in 50 min." in bar.text
    assert bar.one("button", id="undo").text == "Undo"
    assert bar.attrs["data-live-every"] == "5"
    assert ada_at.get(bar.attrs["hx-get"], headers=htmx).status_code == 204
    other = look(signed_in(grace), request).one("section", id="progress")
    assert "The run starts in 50 min." in other.text and not other.all("button", id="undo")
    # Near its end the page looks more often.
    Resumption.objects.filter(kind="resume").update(not_before=timezone.now() + timedelta(seconds=50))
    assert look(ada_at, request).one("section", id="progress").attrs["data-live-every"] == "1"
    let_it_go_on(request)
    part = ada_at.get(bar.attrs["hx-get"], headers=htmx)
    assert part.status_code == 200
    assert not read(part).all("button", id="undo")


@pytest.mark.parametrize("is_htmx", [True, False])
def test_what_is_undone_is_asked_again(asked, ada_at, htmx, is_htmx):
    request = asked(undo_window_s=60)
    post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"})
    options = {"headers": htmx} if is_htmx else {"follow": True}
    answer = ada_at.post(f"/requests/{request.pk}/undo/", **options)
    page = read(answer)
    said = "Your decision is taken back: the request is open again, and nothing ran."
    assert said in (note(page) if is_htmx else notices(page)[0])
    assert page.one("form", id="approve-form")
    votes = [as_of_now(one.text) for one in panel(page, "Policy and votes").one("ul", class_="votes").all("li")]
    assert votes[1:] == ["You Approved taken back just now", "You Took it back just now"]
    data = form_in(look(ada_at, request), "reject-form") | {"kind": "reject", "reject_comment": "no"}
    assert post(ada_at, request, data).status_code == 302
    assert decode(let_it_go_on(request).output)[0] == "reject"


def test_what_cannot_be_undone_any_more_says_why(asked, grace, ada_at, signed_in, htmx):
    request = asked(undo_window_s=60)
    post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"})
    answer = signed_in(grace).post(f"/requests/{request.pk}/undo/")
    assert answer.status_code == 409
    assert notices(read(answer)) == ["It cannot be undone. Only ada could take this back."]
    let_it_go_on(request)
    answer = ada_at.post(f"/requests/{request.pk}/undo/", headers=htmx)
    assert answer.status_code == 409
    assert notices(read(answer)) == ["It cannot be undone. The run has gone on with it."]
    assert Resolution.objects.filter(undone_at=None).count() == 1


def test_a_link_undoes_nothing(asked, ada_at):
    request = asked(undo_window_s=60)
    post(ada_at, request, form_in(look(ada_at, request)) | {"kind": "approve"})
    for name in ("undo", "act", "comment"):
        answer = ada_at.get(f"/requests/{request.pk}/{name}/")
        assert (answer.status_code, answer["Location"]) == (302, f"/requests/{request.pk}/")
    assert Resolution.objects.get().undone_at is None


# ---- Groups ----


def test_one_rejection_cancels_the_group_and_each_says_so(run_until_it_waits, ada_at):
    POLICIES["now"] = Policy(undo_window_s=60)
    state = run_until_it_waits("test-trip")
    requests = {one.title: one for one in ApprovalRequest.objects.filter(state=state)}
    hotel, flight = requests["Book hotel?"], requests["Book flight?"]
    page = look(ada_at, hotel)
    group = page.one("div", class_="request-group")
    assert group.text.startswith("One of 3 in the group trip; one rejection cancels the others:")
    assert {one.attrs["href"] for one in group.all("a")} == {
        f"/requests/{one.pk}/" for one in requests.values() if one != hotel
    }
    assert "The 2 others of the group trip are cancelled with it." in page.one("form", id="reject-form").text
    post(ada_at, hotel, form_in(page, "reject-form") | {"kind": "reject", "reject_comment": "too dear"})
    outcome = panel(look(ada_at, flight), "Outcome")
    assert as_of_now(outcome.text).startswith(
        "Outcome Cancelled You rejected Book hotel? just now, and this was cancelled with it."
    )
    assert outcome.one("a").attrs["href"] == f"/requests/{hotel.pk}/"
    assert not look(ada_at, flight).all("button", id="undo")
    ada_at.post(f"/requests/{hotel.pk}/undo/")
    assert look(ada_at, flight).one("form", id="approve-form")
