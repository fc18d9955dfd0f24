"""The admin: who sees what, lists that stay quick, what deleting takes along, and that nothing decided is written."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.storage import storages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recovery.admin import reading
from recovery.backends import DjangoArtifactBackend
from recovery.errors import StateHeld
from recovery.models import (
    ApprovalRequest,
    Artifact,
    ArtifactRef,
    AuditEntry,
    Checkpoint,
    Decision,
    Event,
    ProposalVersion,
    Resolution,
    Resumption,
    State,
    StorageEntry,
    Tag,
)
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.delete_states import Going, delete_states, preview
from tests.recovery.conftest import only_request, work
from tests.web.pages import entered_in, read

READ_ONLY = {
    "approvalrequest": ApprovalRequest,
    "proposalversion": ProposalVersion,
    "decision": Decision,
    "resolution": Resolution,
    "resumption": Resumption,
    "auditentry": AuditEntry,
    "artifact": Artifact,
}
OF_A_STATE = (
    State,
    Event,
    Checkpoint,
    StorageEntry,
    ArtifactRef,
    Artifact,
    Tag,
    ApprovalRequest,
    ProposalVersion,
    Decision,
    Resolution,
    Resumption,
)
NOW = timezone.now()
STATES = "/admin/recovery/state/"


@pytest.fixture
def alex(db: Any) -> Any:
    """An admin."""
    return get_user_model().objects.create_superuser("alex", password="pw")


@pytest.fixture
def browser(alex: Any, signed_in: Callable[[Any], Client]) -> Client:
    return signed_in(alex)


@pytest.fixture
def decided(run_until_it_waits: Callable[..., State], ada: Any) -> State:
    """A finished run with something of everything."""
    state = run_until_it_waits(tags=["vip"])
    decide(only_request(state).pk, by=ada, kind="approve", comment="fine")
    return work(state.pk)


def make_states(count: int, **columns: Any) -> list[State]:
    states = State.objects.bulk_create(
        State(
            pipeline=columns.get("pipeline", "imports"),
            status=columns.get("status", "paused"),
            description=f"Import {number}",
            input='"PAYLOAD"',
            created_at=columns.get("created_at", NOW),
            updated_at=columns.get("updated_at", NOW) - timedelta(seconds=number),
        )
        for number in range(count)
    )
    Tag.objects.bulk_create(Tag(state=one, tag=f"t{number}") for number, one in enumerate(states))
    return states


def stored() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in OF_A_STATE}


def listed(browser: Client, path: str, **query: Any) -> list[str]:
    """The ids of the rows, as their links name them."""
    response = browser.get(path, query)
    assert response.status_code == 200
    addresses = [one.attrs["href"] for table in read(response).all("table", id="result_list") for one in table.all("a")]
    return [one.split("/")[4] for one in addresses if one.startswith(path) and "/change/" in one]


# ---- Who ----


@pytest.mark.parametrize("name", ["state", *READ_ONLY])
def test_only_staff_with_the_permission_to_view_sees_a_list(decided, signed_in, ada, name):
    path = f"/admin/recovery/{name}/"
    assert Client().get(path).url.startswith("/admin/login/")
    assert signed_in(ada).get(path).url.startswith("/admin/login/")
    clerk = get_user_model().objects.create_user("clerk", password="pw", is_staff=True)
    assert signed_in(clerk).get(path).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename=f"view_{name}"))
    assert signed_in(clerk).get(path).status_code == 200


@pytest.mark.parametrize("name", ["state", *READ_ONLY])
def test_nobody_adds_or_changes_anything(browser, decided, name):
    model = READ_ONLY.get(name, State)
    pk = model.objects.order_by("pk").values_list("pk", flat=True).first()
    before = model.objects.values().order_by("pk").first()
    assert browser.get(f"/admin/recovery/{name}/add/").status_code == 403
    assert browser.post(f"/admin/recovery/{name}/add/", {"status": "awaiting"}).status_code == 403
    path = f"/admin/recovery/{name}/{pk}/change/"
    page = read(browser.get(path))
    assert [one.attrs["name"] for one in page.one("div", id="content-main").all() if one.attrs.get("name")] in (
        [],
        ["csrfmiddlewaretoken"],
    )
    assert browser.post(path, {"status": "awaiting", "kind": "reject", "outcome": "x"}).status_code == 403
    assert model.objects.values().order_by("pk").first() == before


@pytest.mark.parametrize("name", READ_ONLY)
def test_nobody_deletes_what_was_decided(browser, decided, name):
    model = READ_ONLY[name]
    pk, count = model.objects.order_by("pk").values_list("pk", flat=True).first(), model.objects.count()
    assert browser.post(f"/admin/recovery/{name}/{pk}/delete/", {"post": "yes"}).status_code == 403
    act = {"action": "delete_selected", "_selected_action": [str(pk)], "post": "yes"}
    browser.post(f"/admin/recovery/{name}/", act)
    assert model.objects.count() == count


def test_the_admin_wears_the_colours_of_the_product(browser):
    links = [one.attrs["href"] for one in read(browser.get("/admin/")).all("link", rel="stylesheet")]
    ours = [one.rpartition("/css/")[2] for one in links if "/css/tokens" in one or one.endswith("css/admin.css")]
    assert ours == ["tokens.css", "admin.css"]


def test_every_page_of_the_admin_keeps_the_strict_policy(browser, decided):
    request = ApprovalRequest.objects.get()
    paths = [
        "/admin/",
        STATES,
        f"{STATES}?tag=vip&q=refund",
        f"{STATES}{decided.pk}/change/",
        f"{STATES}{decided.pk}/delete/",
        "/admin/recovery/approvalrequest/",
        f"/admin/recovery/approvalrequest/{request.pk}/change/",
        "/admin/recovery/auditentry/?action=decided",
    ]
    for path in paths:
        response = browser.get(path)
        assert response.status_code == 200, path
        policy = response.headers["Content-Security-Policy"]
        assert ("default-src 'none'" in policy, "unsafe" in policy) == (True, False), path
        elements = read(response).all()
        inline = [one for one in elements if one.tag == "style" or "style" in one.attrs]
        handlers = [one for one in elements for name in one.attrs if name.startswith("on")]
        scripts = [one for one in elements if one.tag == "script" and "src" not in one.attrs]
        assert (inline, handlers) == ([], []), path
        assert [one for one in scripts if one.attrs.get("type") != "application/json"] == [], path


# ---- Lists ----


def test_states_are_filtered_by_status_pipeline_tags_and_date(browser):
    old = make_states(1, updated_at=NOW - timedelta(days=400), created_at=NOW - timedelta(days=400))
    recent = make_states(3)
    refunds = make_states(1, pipeline="refunds", status="failed", updated_at=NOW - timedelta(hours=1))
    Tag.objects.create(state=recent[1], tag="eu")

    def found(**query: Any) -> list[str]:
        return listed(browser, STATES, **query)

    def ids(*states: State) -> list[str]:
        return [str(state.pk) for state in states]

    assert found() == ids(*recent, *refunds, *old)
    assert found(status__exact="failed") == ids(*refunds)
    assert found(pipeline="refunds") == ids(*refunds)
    assert found(tag="t1, eu") == ids(recent[1])
    assert found(tag="t0, eu") == []
    since = (NOW - timedelta(days=7)).isoformat()
    assert found(updated_at__gte=since) == ids(*recent, *refunds)
    assert found(created_at__gte=since) == ids(*recent, *refunds)
    assert found(tag="a\x00b") == []


def test_states_are_found_by_id_description_and_tag(browser):
    states = make_states(3)
    assert listed(browser, STATES, q=str(states[1].pk)) == [str(states[1].pk)]
    assert listed(browser, STATES, q=states[1].short_id) == [str(states[1].pk)]
    assert listed(browser, STATES, q="import 2") == [str(states[2].pk)]
    assert listed(browser, STATES, q="T0") == [str(states[0].pk)]
    assert listed(browser, STATES, q=str(uuid.uuid4())) == []


@pytest.mark.parametrize("name", ["state", *READ_ONLY])
def test_what_belongs_to_an_id_is_found_by_all_of_it_and_by_its_first_eight_digits(browser, decided, name):
    ids = [] if name == "artifact" else [decided.pk]
    ids += [] if name in ("state", "artifact", "resumption") else [ApprovalRequest.objects.get().pk]
    for pk in ids:
        if name in ("proposalversion", "decision", "resolution") and pk == decided.pk:
            continue  # They belong to the request alone.
        for text in (str(pk), str(pk)[:8]):
            assert listed(browser, f"/admin/recovery/{name}/", q=text), text
    if name == "artifact":
        artifact = Artifact.objects.get()
        assert listed(browser, f"/admin/recovery/{name}/", q=artifact.pk[:10]) == [artifact.pk]
    assert listed(browser, f"/admin/recovery/{name}/", q=str(uuid.uuid4())) == []
    assert listed(browser, f"/admin/recovery/{name}/", q=f"{uuid.uuid4()}"[:8]) == []


@pytest.mark.parametrize("name", ["state", *READ_ONLY])
def test_what_no_database_holds_is_no_filter_and_no_address(browser, decided, name):
    path = f"/admin/recovery/{name}/"
    column = {"state": "status", "artifact": "codec", "auditentry": "action"}.get(name, "created_at")
    everything = listed(browser, path)
    assert everything
    for query in ({f"{column}__exact": "\x00"}, {"q": "\x00"}, {"tag": "\x00"}):
        assert listed(browser, path, **query) == everything, query
    assert browser.get(path, {f"{column}__exact": "a\x00b"}).status_code in (200, 302, 400)
    for page in ("change", "delete", "history"):
        response = browser.get(f"{path}%00/{page}/")
        assert response.status_code in (302, 403, 404), page


def test_the_filter_of_tags_keeps_the_other_filters_and_offers_to_drop_it(browser):
    make_states(2)
    page = read(browser.get(STATES, {"tag": "t1", "pipeline": "imports", "q": "import"}))
    [form] = [one for one in page.all("form") if "written-filter" in one.attrs.get("class", "")]
    assert entered_in(form) == {"tag": "t1", "pipeline": "imports", "q": "import"}
    assert form.one("a").attrs["href"] == "?pipeline=imports&q=import"


def test_the_pipelines_to_filter_by_are_those_that_there_are(browser):
    make_states(2, pipeline="b")
    make_states(2, pipeline="a")
    make_states(1, pipeline="")
    page = read(browser.get(STATES))
    [filter_] = page.all("details", data_filter_title="pipeline")
    assert [one.text for one in filter_.all("a")] == ["All", "a", "b"]


def test_the_list_of_states_reads_no_payload_and_counts_no_whole_table(browser):
    make_states(2)
    with CaptureQueriesContext(connection) as queries:
        browser.get(STATES)
    about_states = [one["sql"] for one in queries if "recovery_state" in one["sql"]]
    heavy = ("input", "output", "custom_data", "resolution_text", "generations", "error")
    assert [sql for sql in about_states for name in heavy if f'"{name}"' in sql] == []
    counts = [sql for sql in about_states if "COUNT(" in sql]
    assert counts
    assert [sql for sql in counts if f"LIMIT {reading.COUNT_AT_MOST}" not in sql] == []


def test_counting_ends_at_its_limit(browser, monkeypatch):
    monkeypatch.setattr(reading, "COUNT_AT_MOST", 3)
    make_states(5)
    assert "3 states" in read(browser.get(STATES)).one("p", class_="paginator").text


@pytest.mark.parametrize(
    "name", ["state", "approvalrequest", "decision", "proposalversion", "resolution", "resumption"]
)
def test_a_list_makes_as_many_queries_for_thirty_rows_as_for_one(browser, decided, name):
    model = READ_ONLY.get(name, State)
    path = f"/admin/recovery/{name}/"
    model.objects.exclude(pk=model.objects.order_by("-pk").values_list("pk", flat=True).first()).delete()
    with CaptureQueriesContext(connection) as of_one:
        assert browser.get(path).status_code == 200
    for number in range(29):
        row = model.objects.order_by("pk").first()
        if name in ("decision", "proposalversion", "resolution", "resumption"):
            row.pk = None
        else:
            row.pk = uuid.uuid4()
        for column in ("number", "generation"):
            if hasattr(row, column):
                setattr(row, column, number + 100)
        if name == "resolution":
            decision = Decision.objects.order_by("pk").first()
            decision.pk, decision._state.adding = None, True
            decision.save()
            row.decision, row.undone_at = decision, NOW
        if name == "resumption":
            row.resolution, row.kind = None, "retry"
        row._state.adding = True
        row.save()
    with CaptureQueriesContext(connection) as of_thirty:
        assert browser.get(path).status_code == 200
    assert model.objects.count() == 30
    assert len(of_thirty) == len(of_one)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("approvalrequest", {"is": "decided", "q": "refund 420", "risk__exact": 2, "pipeline": "test-refund"}),
        ("decision", {"q": "ada"}),
        ("proposalversion", {"q": "test-refund"}),
        ("resolution", {"q": "approve"}),
        ("resumption", {"kind__exact": "resume", "status__exact": "done"}),
        ("auditentry", {"action": "decided", "actor": "ada", "q": "fine"}),
    ],
)
def test_what_was_decided_is_found_by_filters_and_search(browser, decided, name, query):
    path = f"/admin/recovery/{name}/"
    assert len(listed(browser, path, **query)) == 1
    assert listed(browser, path, q="no such thing") == []


def test_a_state_is_shown_with_links_to_its_page_and_counts_instead_of_rows(browser, decided):
    page = read(browser.get(f"{STATES}{decided.pk}/change/"))
    links = {one.attrs["href"]: one.text for one in page.one("div", id="content-main").all("a")}
    dashboard = reverse("recovery:state", args=[decided.pk])
    assert links[dashboard] == "Open in the dashboard"
    assert links[f"{dashboard}?tab=timeline"] == str(Event.objects.current().count())
    assert links[f"{dashboard}?tab=checkpoints"] == str(decided.head)
    asked = f"/admin/recovery/approvalrequest/?state__id__exact={decided.pk}"
    assert links[asked] == "1"
    assert len(listed(browser, "/admin/recovery/approvalrequest/", state__id__exact=decided.pk)) == 1
    entries = AuditEntry.objects.filter(state_id=decided.pk).count()
    assert links[f"/admin/recovery/auditentry/?state_id__exact={decided.pk}"] == str(entries)
    assert page.all("input", type="submit") == []


def test_an_artifact_names_the_states_that_use_it(browser, run_until_it_waits):
    states = [run_until_it_waits(), run_until_it_waits()]
    page = read(browser.get(f"/admin/recovery/artifact/{Artifact.objects.get().pk}/change/"))
    links = {one.attrs["href"] for one in page.one("div", id="content-main").all("a")}
    assert {one for one in links if one.startswith(STATES)} == {f"{STATES}{state.pk}/change/" for state in states}


# ---- Deleting ----


def test_deleting_shows_what_goes_and_takes_all_of_it_but_the_audit(browser, alex, decided):
    kept = list(AuditEntry.objects.order_by("number").values("number", "hash"))
    path = f"{STATES}{decided.pk}/delete/"
    text = read(browser.get(path)).one("div", id="content").text
    going = preview([decided.pk])
    assert going == Going(
        states=1,
        steps=Event.objects.count(),
        checkpoints=Checkpoint.objects.count(),
        storage_entries=StorageEntry.objects.count(),
        requests=1,
        artifacts=1,
    )
    for name, count in going._asdict().items():
        assert f"{name.replace('_', ' ').capitalize()}: {count}" in text
    assert stored()["State"] == 1, "looking deletes nothing"

    response = browser.post(path, {"post": "yes"})
    assert response.url == STATES
    assert stored() == dict.fromkeys((model.__name__ for model in OF_A_STATE), 0)
    entries = AuditEntry.objects.order_by("number")
    assert list(entries.values("number", "hash"))[:-1] == kept
    last = entries.last()
    assert (last.action, last.actor, last.channel, last.state_id) == ("deleted", "alex", "admin", decided.pk)
    assert list(audit.broken_links()) == []


def test_the_chosen_states_are_deleted_together_with_one_audit_entry_each(browser, run_until_it_waits):
    states = [run_until_it_waits() for _ in range(3)]
    chosen, kept = states[:2], states[2]
    act = {"action": "delete_selected", "_selected_action": [str(one.pk) for one in chosen]}
    text = read(browser.post(STATES, act)).one("div", id="content").text
    assert "States: 2" in text
    assert "Requests: 2" in text
    assert "Artifacts: 0" in text, "the third uses the same content"
    assert State.objects.count() == 3
    assert browser.post(STATES, {**act, "post": "yes"}).status_code == 302
    assert list(State.objects.all()) == [kept]
    assert {entry.state_id for entry in AuditEntry.objects.filter(action="deleted")} == {one.pk for one in chosen}
    assert Artifact.objects.count() == 1
    assert DjangoArtifactBackend().load_artifact(ArtifactRef.objects.get().artifact_id) == "time,event\n09:00,sorted\n"


def test_the_file_of_an_artifact_goes_with_the_last_state_that_uses_it(
    browser, run_until_it_waits, settings, django_capture_on_commit_callbacks
):
    settings.RECOVERY = {**settings.RECOVERY, "ARTIFACT_INLINE_BYTES": 0, "ARTIFACT_GRACE_S": 0}
    states = [run_until_it_waits(), run_until_it_waits()]
    name = Artifact.objects.get().file_name
    for state, is_there in zip(states, (True, False), strict=True):
        with django_capture_on_commit_callbacks(execute=True):
            browser.post(f"{STATES}{state.pk}/delete/", {"post": "yes"})
        assert storages["artifacts"].exists(name) is is_there


@pytest.mark.parametrize("way", ["one", "chosen"])
def test_a_state_that_a_worker_holds_is_not_deleted(browser, run_until_it_waits, way):
    held, free = run_until_it_waits(), run_until_it_waits()
    State.objects.filter(pk=held.pk).update(lease_until=timezone.now() + timedelta(minutes=1), lease_owner="w1")
    before, entries = stored(), AuditEntry.objects.count()
    if way == "one":
        response = browser.post(f"{STATES}{held.pk}/delete/", {"post": "yes"})
        words = "A worker holds this state now"
    else:
        chosen = [str(held.pk), str(free.pk)]
        response = browser.post(STATES, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
        words = "Workers hold these states now"
    text = read(response).one("div", id="content").text
    assert words in text
    assert str(held) in text
    assert (stored(), AuditEntry.objects.count()) == (before, entries)


def test_a_lease_that_ran_out_holds_nothing(alex, run_until_it_waits):
    state = run_until_it_waits()
    State.objects.filter(pk=state.pk).update(lease_until=timezone.now() - timedelta(seconds=1), lease_owner="w1")
    assert delete_states([state.pk, state.pk, uuid.uuid4()], by=alex) == 1


def test_the_service_refuses_all_when_one_is_held_and_says_which(alex, run_until_it_waits):
    free, held = run_until_it_waits(), run_until_it_waits()
    State.objects.filter(pk=held.pk).update(lease_until=timezone.now() + timedelta(minutes=1))
    before = stored()
    with pytest.raises(StateHeld, match=f"test-refund {held.short_id} is held by a worker; nothing was deleted"):
        delete_states([free.pk, held.pk], by=alex)
    assert stored() == before


def test_more_than_a_page_is_not_deleted_at_once(browser):
    states = make_states(101)
    act = {"action": "delete_selected", "_selected_action": [str(states[0].pk)], "select_across": "1"}
    response = browser.post(STATES, {**act, "post": "yes"}, follow=True)
    assert "At most 100 states are deleted at once" in read(response).text
    assert State.objects.count() == 101


def test_staff_that_may_only_view_is_not_offered_to_delete(signed_in, run_until_it_waits):
    state = run_until_it_waits()
    clerk = get_user_model().objects.create_user("clerk", password="pw", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_state"))
    browser = signed_in(clerk)
    assert browser.post(f"{STATES}{state.pk}/delete/", {"post": "yes"}).status_code == 403
    browser.post(STATES, {"action": "delete_selected", "_selected_action": [str(state.pk)], "post": "yes"})
    assert State.objects.filter(pk=state.pk).exists()


def test_a_long_run_is_previewed_and_deleted_in_as_many_queries_as_its_length_needs(browser, alex, run_until_it_waits):
    state = run_until_it_waits()
    Event.objects.bulk_create(
        Event(state=state, position=1000 + number, address=f"step{number}", status="completed", added_in=1)
        for number in range(1500)
    )
    with CaptureQueriesContext(connection) as queries:
        page = browser.get(f"{STATES}{state.pk}/delete/")
    assert "Steps: 1502" in read(page).one("div", id="content").text
    assert len(queries) < 25
    assert delete_states([state.pk], by=alex) == 1
    assert Event.objects.count() == 0


def test_the_list_of_jobs_leads_to_the_stuck_runs_and_each_job_to_its_run(browser, decided):
    page = read(browser.get("/admin/recovery/resumption/"))
    assert page.one("ul", class_="object-tools").one("a").attrs["href"] == "/stuck/"
    job = Resumption.objects.filter(kind="resume").get()
    page = read(browser.get(f"/admin/recovery/resumption/{job.pk}/change/"))
    assert f"/states/{job.state_id}/" in [link.attrs.get("href") for link in page.all("a")]
