"""The registry: what can be run and how, and starting a run from a form that the input model makes."""

from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pydantic import BaseModel, Field

from recovery import pipelines
from recovery.models import AuditEntry, Resumption, State
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.recovery.sample_pipelines import RefundInput
from tests.web.pages import read

pytestmark = pytest.mark.django_db

URL = "/pipelines/test-refund/"
FILLED = {"input.order": "A-17", "input.amount": "420.00", "description": "", "tags": ""}


class Part(BaseModel):
    name: str
    count: int = 1


class AssemblyInput(BaseModel):
    """What is put together."""

    parts: list[Part] = Field(min_length=1)
    note: str | None = None


@pytest.fixture
def assembly():
    @pipelines.pipeline(
        "test assembly/1", input_model=AssemblyInput, description="Puts **parts** together.", version="7"
    )
    async def assemble(value, state):
        return len(value.parts)

    yield "/pipelines/test%20assembly/1/"
    pipelines.unregister("test assembly/1")


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


def panel(page, title):
    [found] = [one for one in page.all("section", class_="panel") if one.all("h2")[0].text == title]
    return found


def nothing_started():
    return not State.objects.exists() and not Resumption.objects.exists() and not AuditEntry.objects.exists()


# ---- The registry ----


def test_every_pipeline_is_there_with_what_it_does_and_what_ran_last(browser, assembly, ada):
    for number in range(4):
        start_run("test-refund", {"order": "A", "amount": "1"}, by=ada, description=f"run {number}")
    page = read(browser.get("/pipelines/"))
    described = panel(page, "Test assembly/1")
    assert described.one("strong").text == "parts"
    assert "version 7" in described.text
    assert "0 runs" in described.text
    assert "It did not run yet." in described.text
    refund = panel(page, "Refund")
    assert "4 runs" in refund.text
    assert [link.text for link in refund.all("a", class_="row-title")] == ["run 3", "run 2", "run 1"]
    assert refund.one("h2").one("a").attrs["href"] == URL
    [all_of_them] = [link for link in refund.all("a") if link.text.startswith("All its runs")]
    assert parse_qs(urlsplit(all_of_them.attrs["href"]).query) == {"pipeline": ["test-refund"]}


def test_nobody_sees_it_without_signing_in(client):
    for url in ("/pipelines/", URL):
        assert client.get(url).headers["Location"].startswith("/accounts/login/")
    assert client.post(URL, FILLED).headers["Location"].startswith("/accounts/login/")
    assert nothing_started()


def test_without_pipelines_the_page_says_how_to_get_one(browser, monkeypatch):
    monkeypatch.setattr(pipelines, "_registry", {})
    assert read(browser.get("/pipelines/")).one("div", class_="empty").one("h2").text == "No pipeline is registered"


# ---- One pipeline ----


def test_the_form_has_a_field_for_each_of_the_input_model(browser):
    form = panel(read(browser.get(URL)), "Start a run").one("form")
    names = {field.attrs.get("name") for field in form.all("input")} - {"csrfmiddlewaretoken"}
    assert names >= {"input.order", "input.amount", "description", "tags"}
    labelled = {label.attrs["for"] for label in form.all("label")}
    assert {field.attrs["id"] for field in form.all("input") if "id" in field.attrs} <= labelled


def test_an_unknown_pipeline_is_not_found_and_nothing_starts(browser):
    assert browser.get("/pipelines/refnuds/").status_code == 404
    assert browser.post("/pipelines/refnuds/", FILLED).status_code == 404
    assert nothing_started()


def test_any_name_of_a_pipeline_has_its_page(browser, assembly):
    assert read(browser.get(assembly)).one("h1").text == "Test assembly/1"


# ---- Starting a run ----


def test_a_started_run_is_queued_and_its_page_opens(browser, ada):
    answer = browser.post(URL, FILLED | {"description": "Refund of A-17", "tags": "eu, vip ,eu"})
    state = State.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/states/{state.pk}/")
    assert decode(state.input) == RefundInput(order="A-17", amount=Decimal("420.00"))
    assert (state.description, state.started_by, state.pipeline) == ("Refund of A-17", ada, "test-refund")
    assert [tag.tag for tag in state.tags.order_by("pk")] == ["eu", "vip"]
    assert state.resumptions.get().status == "pending"
    assert AuditEntry.objects.get().channel == "web"
    page = read(browser.get(f"/states/{state.pk}/"))
    assert page.one("h1").text == "Refund of A-17"
    assert page.one("div", id="state-progress").text == "Queued"
    assert [link.text for link in panel(read(browser.get(URL)), "Recent runs").all("a", class_="row-title")] == [
        "Refund of A-17"
    ]


def test_without_a_description_the_run_goes_by_the_title_of_its_pipeline(browser):
    browser.post(URL, FILLED)
    assert State.objects.get().description == "Refund"


def test_the_same_form_sent_twice_starts_one_run(browser):
    form = panel(read(browser.get(URL)), "Start a run").one("form")
    sent = FILLED | {"state_id": form.one("input", name="state_id").attrs["value"]}
    first, second = browser.post(URL, sent), browser.post(URL, sent)
    assert first.headers["Location"] == second.headers["Location"] == f"/states/{sent['state_id']}/"
    assert State.objects.count() == Resumption.objects.count() == AuditEntry.objects.count() == 1


def test_a_form_that_was_sent_and_then_changed_starts_one_more_run_when_it_is_sent_again(browser):
    form = panel(read(browser.get(URL)), "Start a run").one("form")
    sent = FILLED | {"state_id": form.one("input", name="state_id").attrs["value"]}
    browser.post(URL, sent)
    changed = sent | {"input.amount": "7"}
    answer = browser.post(URL, changed)
    page = panel(read(answer), "Start a run")
    assert answer.status_code == 422
    assert page.one("div", role="alert").text == (
        "Nothing was started. This form was sent before, with another input. Send it again to start one more run."
    )
    assert State.objects.count() == 1
    new_id = page.one("form").one("input", name="state_id").attrs["value"]
    assert browser.post(URL, changed | {"state_id": new_id}).status_code == 302
    assert decode(State.objects.get(pk=new_id).input).amount == Decimal("7")


@pytest.mark.parametrize("state_id", ["", "x", "\x00"])
def test_a_form_whose_id_was_meddled_with_starts_a_run_of_its_own(browser, state_id):
    assert browser.post(URL, FILLED | {"state_id": state_id}).status_code == 302
    assert State.objects.count() == 1


def test_htmx_is_sent_to_the_page_of_the_run(browser, htmx):
    answer = browser.post(URL, FILLED, headers=htmx)
    assert answer.headers["HX-Redirect"] == f"/states/{State.objects.get().pk}/"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"input.order": ""}, "order"),
        ({"input.amount": "-1"}, "amount"),
        ({"input.amount": "much"}, "amount"),
        ({"input.order": "a\x00b"}, "order"),
    ],
)
def test_an_input_that_does_not_validate_starts_nothing_and_says_where(browser, sent, field):
    answer = browser.post(URL, FILLED | sent | {"description": "kept", "tags": "a,b"})
    assert answer.status_code == 422
    page = read(answer)
    assert f"Nothing was started. 1 field of the input is not right: {field}" in page.one("div", role="alert").text
    control = page.one("input", name=f"input.{field}")
    assert control.attrs["aria-invalid"] == "true"
    assert page.one("input", name="description").attrs["value"] == "kept"
    assert page.one("input", name="tags").attrs["value"] == "a,b"
    assert nothing_started()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"description": "d" * 501}, "at most 500 characters"),
        ({"tags": "t" * 101}, "is longer than 100 characters"),
        ({"tags": ",".join(f"t{n}" for n in range(21))}, "At most 20 tags."),
        ({"tags": "a\x00b"}, "Null characters are not allowed."),
    ],
)
def test_a_description_or_tag_that_does_not_fit_starts_nothing(browser, sent, says):
    answer = browser.post(URL, FILLED | sent)
    assert answer.status_code == 422
    assert says in panel(read(answer), "Start a run").text
    assert nothing_started()


def test_what_the_form_never_offered_is_not_read(browser):
    browser.post(URL, FILLED | {"input.secret": "x", "pipeline": "test-failing", "by": "root"})
    assert (State.objects.get().pipeline, State.objects.get().started_by.username) == ("test-refund", "ada")


def test_rows_are_added_and_removed_without_starting_anything(browser, assembly, htmx):
    page = read(browser.get(assembly))
    [add] = [button for button in page.all("button", name="input:add")]
    answer = browser.post(assembly, {"input:add": add.attrs["value"]}, headers=htmx)
    assert answer.status_code == 200
    part = read(answer)
    assert part.one("section", id="start")
    assert [field for field in part.all("input") if field.attrs.get("name", "").endswith("name")]
    assert nothing_started()


def test_who_may_not_start_runs_sees_the_input_but_no_button(make_user, signed_in):
    browser = signed_in(make_user("eve", starts=False))
    page = read(browser.get(URL))
    assert "You are not among those who start runs." in page.text
    assert not [button for button in page.all("button") if button.text == "Start the run"]
    assert browser.post(URL, FILLED).status_code == 403
    assert nothing_started()


def test_a_form_from_another_site_is_refused(ada):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(URL, FILLED).status_code == 403
    assert nothing_started()
