"""The admin's pages of policies, rules and delegations: forms that say what they mean, and an audit of every change."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from recovery import pipelines
from recovery.models import ApprovalRequest, AuditEntry, AutoRule, Decision, Delegation, PipelinePolicy
from recovery.permissions import policy_of
from recovery.services.delegations import give
from rh_agents import Policy
from tests.recovery.asking import ask, member, run
from tests.recovery.sample_pipelines import RefundInput
from tests.web.pages import Element, entered_in, read

pytestmark = pytest.mark.django_db

POLICIES = "/admin/recovery/pipelinepolicy/"
RULES = "/admin/recovery/autorule/"
DELEGATIONS = "/admin/recovery/delegation/"
DAY = timedelta(days=1)
NOW = timezone.now()


@pytest.fixture
def alex(db: Any) -> Any:
    """An admin."""
    return get_user_model().objects.create_superuser("alex", password="pw")


@pytest.fixture
def browser(alex, signed_in):
    return signed_in(alex)


@pytest.fixture
def groups(db):
    return [Group.objects.create(name=name) for name in ("legal", "ops")]


@pytest.fixture
def saved(browser, django_capture_on_commit_callbacks):
    """Sends a form and does what is left for after the commit; the page that follows."""

    def save(path, **sent):
        with django_capture_on_commit_callbacks(execute=True):
            answer = browser.post(path, sent)
        return read(browser.get(answer["Location"]) if answer.status_code == 302 else answer)

    return save


def messages(page):
    return [item.text for found in page.all("ul", class_="messagelist") for item in found.all("li")]


def faults(page):
    return [item.text for found in page.all("ul", class_="errorlist") for item in found.all("li")]


def audited(action):
    entries = AuditEntry.objects.filter(action=action).order_by("number")
    return [(one.actor, one.channel, json.loads(one.detail)) for one in entries]


def form_of(page, name):
    return page.one("form", id=f"{name}_form")


# ---- Policies ----


def test_a_policy_in_which_everything_is_left_open_says_nothing(saved):
    saved(f"{POLICIES}add/", pipeline="", note="")
    assert PipelinePolicy.objects.get().rules == {}


def test_every_rule_has_a_field_and_is_stored_as_it_was_written(saved, alex, ada, grace, groups):
    saved(
        f"{POLICIES}add/",
        pipeline="test-asking",
        note="Agreed with legal",
        users=["ada", "grace"],
        groups=["legal"],
        permission="recovery.start_state",
        self_approval="yes",
        needed="2",
        **{"from_groups-group": ["legal", "ops", ""], "from_groups-needed": ["1", "2", ""]},
        reject_by="majority",
        comment_required=["reject", "approve"],
        bulk_up_to="low",
        undo_window_s="5 min",
        expires_after_s="3 d",
        on_expire="approve",
        remind_every_s="1 h 30 min",
        escalate_after_s="2h",
        escalate_to=["ops"],
    )
    row = PipelinePolicy.objects.get()
    assert row.rules == {
        "users": ["ada", "grace"],
        "groups": ["legal"],
        "permission": "recovery.start_state",
        "self_approval": True,
        "needed": 2,
        "from_groups": {"legal": 1, "ops": 2},
        "reject_by": "majority",
        "comment_required": ["approve", "reject"],
        "bulk_up_to": "low",
        "undo_window_s": 300.0,
        "expires_after_s": 259200.0,
        "on_expire": "approve",
        "remind_every_s": 5400.0,
        "escalate_after_s": 7200.0,
        "escalate_to": ["ops"],
    }
    assert set(row.rules) == set(Policy.model_fields)
    assert (row.changed_by, row.note) == (alex, "Agreed with legal")


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"needed": 2, "self_approval": False, "comment_required": []},
        {"users": ["ada", "gone"], "groups": ["gone"], "permission": "recovery.gone", "from_groups": {"gone": 1}},
        {"expires_after_s": 90061.5, "undo_window_s": 0.0, "remind_every_s": 61.0},
        {"escalate_after_s": 60.0, "escalate_to": ["gone", "legal"]},
    ],
)
def test_looking_at_a_policy_and_saving_it_changes_nothing(browser, saved, ada, groups, rules):
    row = PipelinePolicy.objects.create(pipeline="test-asking", rules=rules)
    form = form_of(read(browser.get(f"{POLICIES}{row.pk}/change/")), "pipelinepolicy")
    saved(f"{POLICIES}{row.pk}/change/", **_sent(form))
    row.refresh_from_db()
    assert row.rules == rules


def _sent(form):
    """What a browser sends of a form with boxes and rows, several values for a name."""
    sent = {}
    for one in form.all():
        name = one.attrs.get("name")
        if not name or one.attrs.get("type") == "submit" or one.tag == "button":
            continue
        if one.attrs.get("type") == "checkbox":
            if "checked" in one.attrs:
                sent.setdefault(name, []).append(one.attrs["value"])
            continue
        shown = one.attrs.get("value", "") if one.tag == "input" else entered_in(Element("", {}, children=[one]))[name]
        sent.setdefault(name, []).append(shown)
    return sent


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"needed": "0"}, "Ensure this value is greater than or equal to 1."),
        ({"needed": "two"}, "Enter a whole number."),
        ({"users": ["nobody"]}, "Select a valid choice. nobody is not one of the available choices."),
        ({"users": ["ada"], "needed": "2"}, "it needs 2 people, and only 1 may decide"),
        ({"expires_after_s": "3"}, "Write it with its unit: 90 s, 15 min, 2 h, 3 d."),
        ({"expires_after_s": "soon"}, "Write it with its unit: 90 s, 15 min, 2 h, 3 d."),
        ({"expires_after_s": "0 s"}, "Input should be greater than 0"),
        ({"remind_every_s": "5 s"}, "Input should be greater than or equal to 60"),
        ({"undo_window_s": "2 h"}, "Input should be less than or equal to 3600"),
        (
            {"escalate_after_s": "2 h"},
            "escalate_after_s needs escalate_to: the groups that may decide from then on",
        ),
        ({"comment_required": ["reject", "none"]}, "Either some of them or nothing."),
        ({"from_groups-group": ["legal"], "from_groups-needed": ["x"]}, "How many of legal: a number from 1 to 1000."),
        ({"from_groups-group": ["", ""], "from_groups-needed": ["1", ""]}, "Choose a group for each number."),
        ({"from_groups-group": ["legal"] * 2, "from_groups-needed": ["1", "2"]}, "legal is there twice."),
        ({"pipeline": "nowhere"}, "Select a valid choice. nowhere is not one of the available choices."),
    ],
)
def test_what_is_no_policy_is_said_and_not_saved(saved, ada, groups, sent, says):
    page = saved(f"{POLICIES}add/", **{"pipeline": "test-asking", "note": "kept"} | sent)
    [fault] = faults(page)
    assert fault.startswith(says)
    assert "kept" in page.one("textarea", name="note").text
    assert (PipelinePolicy.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_there_is_one_policy_for_each_pipeline(saved):
    PipelinePolicy.objects.create(pipeline="")
    page = saved(f"{POLICIES}add/", pipeline="", needed="2")
    assert faults(page) == ["Pipeline policy with this Pipeline already exists."]


def test_what_does_not_go_together_with_what_else_is_said_is_not_saved(saved, ada):
    PipelinePolicy.objects.create(pipeline="test-asking", rules={"users": ["ada"]})
    page = saved(f"{POLICIES}add/", pipeline="", needed="3")
    assert faults(page) == [
        "Together with what else is said about test-asking: it needs 3 people, and only 1 may decide."
    ]
    assert PipelinePolicy.objects.count() == 1


def test_what_the_code_of_a_pipeline_says_is_heeded_too(saved, ada, browser):
    @pipelines.pipeline(
        "test-coded-for-admins", input_model=RefundInput, policy=Policy(users={"ada"}, remind_every_s=3600)
    )
    async def coded(order, state):
        """Asks nothing."""

    try:
        page = saved(f"{POLICIES}add/", pipeline="test-coded-for-admins", needed="2")
        assert faults(page) == [
            "Together with what else is said about test-coded-for-admins: it needs 2 people, and only 1 may decide."
        ]
        row = PipelinePolicy.objects.create(pipeline="test-coded-for-admins", rules={"expires_after_s": 60})
        applies = read(browser.get(f"{POLICIES}{row.pk}/change/")).one("table", class_="applies")
    finally:
        pipelines.unregister("test-coded-for-admins")
    rules = {row.all("th")[0].text: [cell.text for cell in row.all("td")] for row in applies.all("tr")}
    assert rules["People"] == ["ada", "the pipeline’s code"]
    assert rules["Expires after"] == ["1 min", "this policy"]
    assert rules["People needed"] == ["1", "default"]


def test_what_applies_in_the_end_is_shown_with_who_says_it(browser, ada):
    PipelinePolicy.objects.create(rules={"needed": 2, "expires_after_s": 7200, "comment_required": []})
    row = PipelinePolicy.objects.create(pipeline="test-asking", rules={"expires_after_s": 30, "on_expire": "cancel"})
    applies = read(browser.get(f"{POLICIES}{row.pk}/change/")).one("table", class_="applies")
    assert {row.all("th")[0].text: [cell.text for cell in row.all("td")] for row in applies.all("tr")} == {
        "People": ["–", "default"],
        "Groups": ["–", "default"],
        "Permission": ["–", "default"],
        "People needed": ["2", "all pipelines"],
        "Needed from groups": ["–", "default"],
        "Who started the run may decide": ["no", "default"],
        "Rejected by": ["one person", "default"],
        "Needs words": ["nothing", "all pipelines"],
        "Decided together up to": ["medium", "default"],
        "Can be taken back for": ["–", "default"],
        "Expires after": ["30 s", "this policy"],
        "What it is then": ["the run is cancelled", "this policy"],
        "Reminders every": ["–", "default"],
        "Escalated after": ["–", "default"],
        "Escalated to": ["–", "default"],
    }


@pytest.mark.django_db(transaction=True)
def test_a_policy_that_nobody_can_satisfy_is_warned_of_and_saved(browser, saved, ada, groups):
    member(ada, "legal")
    page = saved(f"{POLICIES}add/", **{"pipeline": "", "from_groups-group": "legal", "from_groups-needed": "2"})
    reason = "Nobody can satisfy this policy now: It needs 2 of legal, where only one may decide."
    assert reason in messages(page)
    row = PipelinePolicy.objects.get()
    assert read(browser.get(f"{POLICIES}{row.pk}/change/")).one("p", class_="warning").text == reason


def test_a_group_that_is_not_there_is_warned_of(browser, ada):
    row = PipelinePolicy.objects.create(rules={"users": ["ada"], "groups": ["gone"]})
    warning = read(browser.get(f"{POLICIES}{row.pk}/change/")).one("p", class_="warning")
    assert warning.text == "There is no group gone."


def test_every_change_is_audited_with_what_was_said_before(browser, saved):
    saved(f"{POLICIES}add/", pipeline="", needed="2", note="first")
    row = PipelinePolicy.objects.get()
    saved(f"{POLICIES}{row.pk}/change/", pipeline="", needed="3", expires_after_s="1 h", note="second")
    browser.post(f"{POLICIES}{row.pk}/delete/", {"post": "yes"})
    assert [(what["before"], what["after"], what["note"]) for _, _, what in audited("policy_changed")] == [
        (None, {"needed": 2}, "first"),
        ({"needed": 2}, {"needed": 3, "expires_after_s": 3600.0}, "second"),
        ({"needed": 3, "expires_after_s": 3600.0}, None, ""),
    ]
    assert {(actor, channel) for actor, channel, _ in audited("policy_changed")} == {("alex", "admin")}
    assert not PipelinePolicy.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_open_requests_become_stricter_and_never_laxer(saved):
    request = ask()
    page = saved(f"{POLICIES}add/", pipeline="test-asking", needed="2", expires_after_s="1 h")
    assert "1 open request became stricter." in messages(page)
    request.refresh_from_db()
    assert (policy_of(request).needed, request.expires_at is not None) == (2, True)
    row = PipelinePolicy.objects.get()
    page = saved(f"{POLICIES}{row.pk}/change/", pipeline="test-asking", needed="1", expires_after_s="2 h")
    assert not [message for message in messages(page) if "stricter" in message]
    request.refresh_from_db()
    assert policy_of(request).needed == 2
    assert [what["after"]["needed"] for _, _, what in audited("policy_tightened")] == [2]


def test_what_holds_for_all_pipelines_leaves_out_those_with_a_word_of_their_own(saved, run_until_it_waits):
    own, other = ask(), ApprovalRequest.objects.get(state=run_until_it_waits())
    PipelinePolicy.objects.create(pipeline="test-asking", rules={"needed": 1})
    saved(f"{POLICIES}add/", pipeline="", needed="2", expires_after_s="1 h")
    for request, needed in ((own, 1), (other, 2)):
        request.refresh_from_db()
        assert (policy_of(request).needed, policy_of(request).expires_after_s) == (needed, 3600.0)


# ---- Rules ----


def terms(**changed):
    """What the form of a rule sends."""
    return {
        "name": "Small refunds",
        "kind": "approve",
        "comment": "Below 500.",
        "pipeline": "test-asking",
        "action": "",
        "max_risk": "0",
        "conditions-path": ["amount", "", ""],
        "conditions-is": ["below", "equals", "equals"],
        "conditions-value": ["500", "", ""],
        "starts_at_0": f"{NOW - DAY:%Y-%m-%d}",
        "starts_at_1": "00:00:00",
        "ends_at_0": f"{NOW + DAY:%Y-%m-%d}",
        "ends_at_1": "00:00:00",
        "max_uses": "10",
    } | changed


@pytest.fixture
def rule(alex):
    return AutoRule.objects.create(
        name="Small refunds",
        pipeline="test-asking",
        conditions=[{"path": "amount", "is": "below", "value": 500}],
        starts_at=NOW - DAY,
        ends_at=NOW + DAY,
        max_uses=10,
        created_by=alex,
    )


def test_a_rule_is_written_row_by_row_and_decides(saved, alex):
    saved(f"{RULES}add/", **terms())
    rule = AutoRule.objects.get()
    assert rule.conditions == [{"path": "amount", "is": "below", "value": 500}]
    assert (rule.created_by, rule.uses, rule.max_uses) == (alex, 0, 10)
    [(actor, channel, what)] = audited("rule_created")
    assert (actor, channel, what["after"]["conditions"]) == ("alex", "admin", rule.conditions)
    assert run().status == "completed"
    assert Decision.objects.get().rule == rule


@pytest.mark.parametrize(
    ("operator", "written", "stored"),
    [
        ("equals", "A-17", "A-17"),
        ("equals", "420", 420),
        ("equals", "9.90", "9.90"),
        ("equals", "00123", "00123"),
        ("equals", "true", True),
        ("equals", '"true"', "true"),
        ("equals", "null", None),
        ("one_of", "EUR, USD", ["EUR", "USD"]),
        ("one_of", '["a,b", 1]', ["a,b", 1]),
        ("matches", r"[A-Z]-\d+", r"[A-Z]-\d+"),
        ("matches", "17", "17"),
    ],
)
def test_a_value_is_read_as_it_is_written_and_shown_as_it_was(browser, saved, operator, written, stored):
    row = {"conditions-path": ["order"], "conditions-is": [operator], "conditions-value": [written]}
    saved(f"{RULES}add/", **terms(**row))
    rule = AutoRule.objects.get()
    [condition] = rule.conditions
    assert (condition["value"], type(condition["value"])) == (stored, type(stored))
    page = read(browser.get(f"{RULES}{rule.pk}/change/"))
    assert page.all("input", name="conditions-value")[0].attrs["value"] == written
    saved(f"{RULES}{rule.pk}/change/", **_sent(form_of(page, "autorule")))
    assert AutoRule.objects.get().conditions == [condition]
    assert audited("rule_changed") == []


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"conditions-is": ["matches"], "conditions-value": ["(a+)+"]}, "Condition 1: It has too many open repeats"),
        ({"conditions-is": ["below"], "conditions-value": ["many"]}, "Condition 1: 'many' is not a number."),
        ({"conditions-path": ["a..b"]}, "Condition 1: The path is not the names of fields"),
        ({"conditions-path": [""]}, "Condition 1: The path is not the names of fields"),
        ({"ends_at_0": f"{NOW - 2 * DAY:%Y-%m-%d}"}, "It ends before it begins."),
        ({"max_uses": "0"}, "At least 1."),
        ({"pipeline": "nowhere"}, "Select a valid choice. nowhere is not one of the available choices."),
        ({"kind": "edit"}, "Select a valid choice. edit is not one of the available choices."),
    ],
)
def test_what_is_no_rule_is_said_at_its_field_and_what_was_written_is_kept(saved, sent, says):
    one = {"conditions-path": ["amount"], "conditions-is": ["below"], "conditions-value": ["500"]}
    page = saved(f"{RULES}add/", **terms(**one | sent))
    [fault] = faults(page)
    assert fault.startswith(says)
    assert page.all("input", name="conditions-value")[0].attrs["value"] == (one | sent)["conditions-value"][0]
    assert (AutoRule.objects.count(), AuditEntry.objects.count()) == (0, 0)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_rule_can_be_looked_at_before_it_is_saved(browser, saved, rule, is_new):
    ask(amount="600.00")
    ask(amount="900.00")
    entries = AuditEntry.objects.count()
    before = AutoRule.objects.values().get()
    row = {"conditions-path": ["amount"], "conditions-is": ["above"], "conditions-value": ["800"]}
    path = f"{RULES}add/" if is_new else f"{RULES}{rule.pk}/change/"
    page = saved(path, _preview="Preview", **terms(**row))
    assert messages(page) == [
        "Nothing is saved yet. It would match 1 of 2 open requests of its pipeline now; "
        "it decides only those that are opened from now on."
    ]
    assert page.all("input", name="conditions-value")[0].attrs["value"] == "800"
    assert (AutoRule.objects.values().get(), AuditEntry.objects.count()) == (before, entries)
    assert ApprovalRequest.objects.open().count() == 2
    page = saved(path, _preview="Preview", **terms(max_uses=""))
    assert faults(page) == ["This field is required."]


def test_whoever_changes_what_a_rule_says_stands_for_it(rule, signed_in, saved):
    other = get_user_model().objects.create_superuser("olga")
    signed_in(other).post(f"{RULES}{rule.pk}/change/", terms(max_uses="20"))
    rule.refresh_from_db()
    assert (rule.max_uses, rule.created_by) == (20, other)
    [(actor, _, what)] = audited("rule_changed")
    assert (actor, what["before"]["max_uses"], what["after"]["max_uses"]) == ("olga", 10, 20)


def test_how_often_it_was_used_is_shown_and_not_written(saved, browser, rule):
    run()
    saved(f"{RULES}{rule.pk}/change/", **terms(uses="0", max_uses="11"))
    rule.refresh_from_db()
    assert (rule.uses, rule.max_uses) == (1, 11)
    page = read(browser.get(f"{RULES}{rule.pk}/change/"))
    assert not page.all("input", name="uses")
    assert "1 of 11" in page.one("div", id="content").text
    assert faults(saved(f"{RULES}{rule.pk}/change/", **terms(max_uses="0"))) == ["It was used 1× already."]


def test_rules_are_revoked_and_stay_as_they_were(saved, browser, rule):
    page = saved(RULES, action="revoke", _selected_action=[str(rule.pk)])
    assert messages(page) == ["1 rule revoked."]
    rule.refresh_from_db()
    assert (rule.revoked_at is not None, rule.revoked_by.username) == (True, "alex")
    assert [actor for actor, _, _ in audited("rule_revoked")] == ["alex"]
    assert browser.post(f"{RULES}{rule.pk}/change/", terms(max_uses="99")).status_code == 403
    assert browser.post(f"{RULES}{rule.pk}/change/", terms(_preview="Preview")).status_code == 403
    assert AutoRule.objects.get().max_uses == 10
    assert messages(saved(RULES, action="revoke", _selected_action=[str(rule.pk)])) == ["0 rules revoked."]


def test_a_rule_that_has_decided_cannot_be_deleted(browser, rule):
    run()
    assert browser.post(f"{RULES}{rule.pk}/delete/", {"post": "yes"}).status_code == 403
    assert AutoRule.objects.exists()
    AutoRule.objects.update(uses=0)
    Decision.objects.update(rule=None)
    assert browser.post(f"{RULES}{rule.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not AutoRule.objects.exists()
    assert [what["before"]["name"] for _, _, what in audited("rule_deleted")] == ["Small refunds"]


# ---- Delegations ----


def test_delegations_are_looked_at_and_ended_and_not_written(browser, saved, ada, grace):
    given, over = (give(giver=ada, taker=grace, starts_at=NOW - DAY, ends_at=NOW + days * DAY) for days in (2, 3))
    Delegation.objects.filter(pk=over.pk).update(ends_at=NOW - DAY / 2)
    assert browser.get(f"{DELEGATIONS}add/").status_code == 403
    assert browser.post(f"{DELEGATIONS}{given.pk}/change/", {"reason": "x"}).status_code == 403
    assert browser.post(f"{DELEGATIONS}{given.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "ada to grace" in read(browser.get(DELEGATIONS)).one("table", id="result_list").text
    page = saved(DELEGATIONS, action="revoke", _selected_action=[str(given.pk), str(over.pk)])
    assert messages(page) == ["1 delegation revoked."]
    assert not Delegation.objects.active().exists()
    assert [(actor, channel) for actor, channel, _ in audited("delegation_revoked")] == [("alex", "admin")]


# ---- Who ----


@pytest.mark.parametrize(("path", "model", "action"), [(POLICIES, "pipelinepolicy", ""), (RULES, "autorule", "revoke")])
def test_who_may_only_look_writes_nothing(signed_in, rule, path, model, action):
    PipelinePolicy.objects.create(rules={"needed": 2})
    clerk = get_user_model().objects.create_user("clerk", is_staff=True)
    browser = signed_in(clerk)
    assert browser.get(path).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename=f"view_{model}"))
    pk = {"pipelinepolicy": PipelinePolicy, "autorule": AutoRule}[model].objects.get().pk
    page = read(browser.get(f"{path}{pk}/change/"))
    names = {one.attrs["name"] for one in page.one("div", id="content-main").all() if one.attrs.get("name")}
    assert names <= {"csrfmiddlewaretoken"}
    before = (PipelinePolicy.objects.values().get(), AutoRule.objects.values().get())
    for sent in (terms(), terms(_preview="Preview"), {"pipeline": "", "needed": "9"}):
        assert browser.post(f"{path}add/", sent).status_code == 403
        assert browser.post(f"{path}{pk}/change/", sent).status_code == 403
    assert browser.post(f"{path}{pk}/delete/", {"post": "yes"}).status_code == 403
    if action:
        browser.post(path, {"action": action, "_selected_action": [str(pk)]})
    assert (PipelinePolicy.objects.values().get(), AutoRule.objects.values().get()) == before
    assert AuditEntry.objects.count() == 0


def test_their_pages_take_nothing_in_that_the_policy_of_contents_forbids(browser, rule):
    PipelinePolicy.objects.create(rules={"needed": 2})
    for path in (f"{POLICIES}add/", f"{RULES}add/", f"{RULES}{rule.pk}/change/"):
        page = read(browser.get(path)).one("div", id="content-main")
        assert not [one for one in page.all() if "style" in one.attrs or "onclick" in one.attrs]


def test_who_may_only_look_sees_what_a_policy_says(signed_in):
    row = PipelinePolicy.objects.create(rules={"needed": 2}, note="Agreed")
    clerk = get_user_model().objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_pipelinepolicy"))
    text = read(signed_in(clerk).get(f"{POLICIES}{row.pk}/change/")).one("div", id="content-main").text
    assert "People needed: 2" in text
    assert "Agreed" in text
