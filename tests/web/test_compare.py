"""The compare page: both sides, what differs, and the friendly page when a side is missing or wrong."""

import re
import uuid
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.models import State
from recovery.views import compared
from rh_agents.core.serialization import artifact_id, encode, encode_artifact
from rh_agents.core.state_recovery import Entry, EventRecord, StateMetadata, StateSnapshot, StateStatus
from rh_agents.core.types import ExecutionStatus

pytestmark = pytest.mark.django_db

PAGE = "/compare/"
NOBODY = "00000000-0000-4000-8000-000000000000"

Save = Callable[..., str]


def step(name: str, position: int, result: Any, **fields: Any) -> EventRecord:
    return EventRecord(
        position=position,
        address=f"{name}::tool_call",
        event_type="tool_call",
        actor=name,
        result_text=encode(result),
        execution_time=1.4,
        **{"status": ExecutionStatus.COMPLETED, **fields},
    )


@pytest.fixture
def developer(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_user("dev"))
    return client


@pytest.fixture
def save() -> Save:
    """Saves a checkpoint of a state, a new one unless `state_id` is given; its id."""

    def save_state(*results: Any, state_id: str = "", artifacts: dict[str, Any] | None = None, **fields: Any) -> str:
        entries = {}
        for key, value in (artifacts or {}).items():
            encoded = encode_artifact(value, key=key)
            identity = artifact_id(encoded)
            DjangoArtifactBackend().save_encoded(identity, *encoded)
            entries[key] = Entry(1, identity, "", encoded.media_type, len(encoded.payload))
        storage = {key: Entry(1, encode(value)) for key, value in fields.pop("storage", {}).items()}
        values: dict[str, Any] = {
            "events": [step(f"s{number}", number, result) for number, result in enumerate(results, 1)],
            "metadata": StateMetadata(pipeline_name="refunds", description="Refund for order A-17"),
            "status": StateStatus.COMPLETED,
            **fields,
        }
        snapshot = StateSnapshot(state_id=state_id or str(uuid.uuid4()), storage=storage, artifacts=entries, **values)
        DjangoStateBackend().save_state(snapshot)
        return snapshot.state_id

    return save_state


def page(client: Client, status: int = 200, **query: Any) -> str:
    response = client.get(PAGE, query)
    assert response.status_code == status
    assert "private" in response["Cache-Control"]
    return response.content.decode()


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


def row(html: str, place: str) -> str:
    """The pair of that id, in words."""
    found = re.search(rf'<div class="pair" id="{place}">(.*?)\n</div>', html, re.DOTALL)
    assert found is not None
    return text_of(found[1]).strip()


def links(html: str) -> list[str]:
    return [unescape(href) for href in re.findall(r'href="([^"]+)"', html)]


# Both sides


def test_both_sides_and_what_differs_are_shown(developer: Client, save: Save) -> None:
    left = save({"a": 1}, {"amount": "1240.00"}, "gone", storage={"claim": {"state": "open"}, "same": 1})
    right = save({"a": 1}, {"amount": "1180.00"}, storage={"claim": {"state": "settled"}, "same": 1, "new": "r_1"})
    html = page(developer, left=left, right=right, only="changes")
    assert "<h1>Compare two runs of refunds</h1>" in html
    words = text_of(html)
    assert "~1 changed \N{MINUS SIGN}1 only left +0 only right =1 same storage 2 changed, artifacts 0 changed" in words
    assert "1 step the same, s1::tool_call" in words
    assert row(html, "step-2") == "s2::tool_call1.4 s ~Changed, link to this s2::tool_call1.4 s"
    assert row(html, "step-3") == "s3::tool_call1.4 s \N{MINUS SIGN}Only left, link to this no such step"
    assert '<td class="is-old">  &quot;amount&quot;: <del>&quot;1240.00&quot;</del></td>' in html
    assert '<td class="is-new">  &quot;amount&quot;: <ins>&quot;1180.00&quot;</ins></td>' in html
    assert row(html, "storage-2") == 'no such key +Only right, link to this new"r_1"'
    assert "2 of 3 keys changed" in words
    assert "1 key the same" in words


def test_two_checkpoints_of_one_state_say_so_and_lead_to_their_neighbours(developer: Client, save: Save) -> None:
    state = save(1, status=StateStatus.RUNNING)
    for results in ((1, 2), (1, 2, 3)):
        save(*results, state_id=state)
    html = page(developer, left=f"{state}@2", right=f"{state}@3")
    assert f"<h1>Compare two checkpoints of {state[:8]}</h1>" in html
    assert "A later checkpoint of the same state" in html
    assert {f"{state}@1", f"{state}@3"} <= {parse_qs(urlsplit(link).query).get("left", [""])[0] for link in links(html)}
    assert "Right: the next checkpoint" not in html
    assert f"{reverse('recovery:state', args=[state])}?checkpoint=2" in links(html)
    assert reverse("recovery:state", args=[state]) in links(html)


def test_a_fork_says_where_it_began(developer: Client, save: Save) -> None:
    parent = save(1, 2)
    child = save(1, 3, metadata=StateMetadata(parent_state_id=parent))
    State.objects.filter(pk=child).update(forked_from_address="s2::tool_call")
    assert "Fork of Left at s2::tool_call" in text_of(page(developer, left=parent, right=child))
    assert "Fork of Right at s2::tool_call" in text_of(page(developer, left=child, right=parent))


def test_equal_sides_say_that_nothing_differs(developer: Client, save: Save) -> None:
    assert "Nothing differs." in page(developer, left=save(1, 2), right=save(1, 2))


def test_sides_without_steps_say_so(developer: Client, save: Save) -> None:
    assert "No steps" in page(developer, left=save(), right=save())


def test_the_sides_can_be_swapped_without_javascript(developer: Client, save: Save) -> None:
    left, right = save(1), save(2)
    html = page(developer, left=left, right=right, only="changes")
    form = next(form for form in re.findall(r"<form.*?</form>", html, re.DOTALL) if "Swap left and right" in form)
    assert 'method="get"' in form
    assert dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) == {"left": right, "right": left, "only": "changes"}


def test_only_changes_is_a_button_that_folds_what_is_the_same(developer: Client, save: Save) -> None:
    sides = {"left": save(1, 2), "right": save(1, 3)}
    everything, changes = page(developer, **sides), page(developer, **sides, only="changes")
    assert '<details class="same" open>' in everything
    assert 'name="only" value="changes" aria-pressed="false"' in everything
    assert '<details class="same" open>' not in changes
    assert 'aria-pressed="true"' in changes


def test_each_difference_has_an_address_of_its_own(developer: Client, save: Save) -> None:
    html = page(developer, left=save(1, 2), right=save(1, 3))
    assert 'id="step-1"' in html
    assert 'id="step-2"' in html
    assert 'href="#step-2"' in html


def test_errors_are_compared_too(developer: Client, save: Save) -> None:
    failed = {"status": ExecutionStatus.FAILED, "error_type": "Timeout"}
    left = save(events=[step("pay", 1, None, error_message="after 30 s", **failed)])
    right = save(events=[step("pay", 1, None, error_message="after 60 s", **failed)])
    html = page(developer, left=left, right=right)
    assert "Timeout: after <del>30</del> s" in html
    assert row(html, "step-1") == "pay::tool_call failed after 1.4 s".replace(" failed", "failed") + (
        " ~Changed, link to this pay::tool_callfailed after 1.4 s"
    )


def test_text_artifacts_are_compared_inside_and_others_say_why_not(developer: Client, save: Save) -> None:
    left = save(artifacts={"ledger.csv": "a,b\n1,2", "book.pdf": b"%PDF 1"})
    right = save(artifacts={"ledger.csv": "a,b\n1,3", "book.pdf": b"%PDF 2"})
    html = page(developer, left=left, right=right)
    assert '<td class="is-old">1,<del>2</del></td><td class="is-new">1,<ins>3</ins></td>' in html
    assert "application/pdf cannot be compared inside." in html
    assert row(html, "artifact-1") == (
        "book.pdfapplication/pdf, 6 B ~Changed, link to this book.pdfapplication/pdf, 6 B"
    )


def test_pictures_stand_beside_each_other(developer: Client, save: Save) -> None:
    left, right = (save(artifacts={"plot.png": b"\x89PNG" + end, "plot.svg": b"<svg/>" + end}) for end in (b"1", b"2"))
    html = page(developer, left=left, right=right)
    pictures = re.findall(r'<img[^>]* src="([^"]+)" alt="([^"]+)"', html)
    assert [alt for _, alt in pictures] == ["Left: plot.png", "Right: plot.png"]
    assert all(developer.get(unescape(source)).status_code == 200 for source, _ in pictures)


def test_every_link_to_a_step_key_or_artifact_leads_somewhere(developer: Client, save: Save) -> None:
    state = save(1, 2, storage={"k": 1}, artifacts={"a.txt": "x"})
    save(1, 3, state_id=state, storage={"k": 2}, artifacts={"a.txt": "y"})
    found = [
        link for link in links(page(developer, left=f"{state}@1", right=f"{state}@2")) if link.startswith("/states/")
    ]
    assert len(found) > 6
    for link in found:
        assert developer.get(link).status_code == 200, link


def test_what_a_run_says_is_shown_and_never_obeyed(developer: Client, save: Save) -> None:
    evil = "</td><script>alert(1)</script>\u202e"
    metadata = StateMetadata(pipeline_name=evil, description=evil)
    left = save({evil: evil}, metadata=metadata, storage={evil: 1}, artifacts={"a.txt": evil})
    right = save({evil: evil + "x"}, metadata=metadata, storage={evil: 2}, artifacts={"a.txt": evil + "x"})
    for query in ({"left": left, "right": right}, {"left": left}, {"left": evil, "right": evil}, {}):
        html = page(developer, status=404 if query.get("left") == evil else 200, **query)
        assert "<script>alert" not in html
        assert "\u202e" not in html


# Long comparisons


def test_many_steps_come_in_windows_that_lead_to_each_other(
    developer: Client, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compared, "STEPS_AT_ONCE", 3)
    left, right = save(*range(8)), save(*range(1, 9))
    html = page(developer, left=left, right=right)
    seen = []
    while True:
        seen += re.findall(r'<div class="pair" id="step-(\d+)">', html)
        later = [
            link
            for link in links(html)
            if "from=" in link and "Later steps" in html.split(link.replace("&", "&amp;"))[1][:40]
        ]
        if not later:
            break
        html = developer.get(later[0]).content.decode()
    assert seen == [str(number) for number in range(1, 9)]
    assert "Earlier steps" in html


def test_a_long_difference_is_cut_and_stands_whole_on_a_page_of_its_own(developer: Client, save: Save) -> None:
    left, right = save(1, ["a" * 70 + str(n) for n in range(900)]), save(1, ["b" * 70 + str(n) for n in range(900)])
    html = page(developer, left=left, right=right)
    assert html.count('<tr class="is-changed">') == compared.ROWS_OF_ONE - 1
    (whole,) = [link for link in links(html) if "at=step-2" in link and "#step-2" in link]
    alone = developer.get(whole).content.decode()
    assert alone.count('<tr class="is-changed">') == 900
    assert 'id="step-1"' not in alone
    assert "All differences" in alone


def test_a_page_holds_only_so_many_rows_of_differences(
    developer: Client, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compared, "ROWS_AT_ONCE", 10)
    left, right = (save(*({"n": number, "side": side} for number in range(20))) for side in "ab")
    html = page(developer, left=left, right=right)
    assert html.count('<tr class="is-changed">') == 2
    assert html.count("Show all of this difference") == 18


@pytest.mark.parametrize(
    "query", [{"at": "step-99"}, {"at": "x"}, {"at": "storage-0"}, {"from": "-1"}, {"from": "9" * 40}]
)
def test_a_place_that_is_not_there_gives_the_page_without_it(
    developer: Client, save: Save, query: dict[str, str]
) -> None:
    assert "s1::tool_call" in text_of(page(developer, left=save(1), right=save(2), **query)) or "from" in query


def test_a_megabyte_on_one_line_is_not_sent_whole(developer: Client, save: Save) -> None:
    html = page(developer, left=save(["x" * 500_000, 1]), right=save(["x" * 500_000, 2]))
    assert len(html) < 50_000
    assert "characters⟩" in html


# Choosing


def test_with_one_side_its_other_checkpoints_and_relatives_are_offered(developer: Client, save: Save) -> None:
    parent = save(1)
    metadata = StateMetadata(pipeline_name="refunds", parent_state_id=parent)
    state = save(1, metadata=metadata)
    save(1, 2, state_id=state, metadata=metadata)
    fork = save(9, metadata=StateMetadata(parent_state_id=state, description="Tried again"))
    other = save(5)
    html = page(developer, right=state)
    offered = {
        parse_qs(urlsplit(link).query)["left"][0] for link in links(html) if "right=" in link and "left=" in link
    }
    assert offered == {f"{state}@1", parent, fork, other}
    words = text_of(html)
    for relation in ("What it was forked from", "Fork of it", "Run of the same pipeline"):
        assert relation in words
    assert f'name="right" value="{state}"' in html


def test_without_sides_the_newest_states_are_offered(developer: Client, save: Save) -> None:
    state = save(1)
    html = page(developer)
    assert f"{PAGE}?left={state}&only=changes" in links(html)
    assert "Refund for order A-17" in html


def test_without_any_state_the_page_says_what_would_be_here(developer: Client) -> None:
    assert "A state is here once a run has saved its first checkpoint." in page(developer)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("nope", "&#x27;nope&#x27; is no id of a state"),
        (NOBODY, f"There is no state {NOBODY}"),
    ],
)
def test_a_wrong_side_is_named_and_what_was_entered_is_kept(
    developer: Client, save: Save, wrong: str, reason: str
) -> None:
    state = save(1)
    save(1, 2, state_id=state)
    html = page(developer, 404, left=state, right=wrong)
    assert f'name="left" value="{state}"' in html
    assert re.search(
        rf'name="right" value="{wrong}"[^>]*aria-invalid="true" aria-describedby="compare-right-error"', html
    )
    assert reason in html
    assert f"{PAGE}?left={state}&right={state}%401&only=changes" in links(html)


def test_a_wrong_side_alone_is_named_too(developer: Client) -> None:
    assert f"There is no state {NOBODY}" in page(developer, 404, left=NOBODY)
    html = page(developer, 404, left="a", right="b")
    assert "&#x27;a&#x27; is no id" in html


def test_comparing_needs_somebody_who_is_signed_in(client: Client) -> None:
    response = client.get(PAGE, {"left": NOBODY})
    assert response.status_code == 302
    assert "login" in response["Location"]


def test_nothing_is_compared_by_a_post(developer: Client) -> None:
    assert developer.post(PAGE).status_code == 405


def test_the_number_of_queries_does_not_grow_with_what_is_compared(
    developer: Client, save: Save, django_assert_max_num_queries: Any
) -> None:
    few, more = save(1), save(2)
    with django_assert_max_num_queries(25) as asked:
        page(developer, left=few, right=more)
    many = [
        save(*({"n": number, "side": side} for number in range(30)), storage={f"k{n}": side for n in range(30)})
        for side in "ab"
    ]
    with django_assert_max_num_queries(len(asked.captured_queries) + 4):
        page(developer, left=many[0], right=many[1])
    relatives = [save(1) for _ in range(3)]
    with django_assert_max_num_queries(25) as chosen:
        page(developer, left=relatives[0])
    for _ in range(6):
        save(1)
    with django_assert_max_num_queries(len(chosen.captured_queries)):
        page(developer, left=relatives[0])


# ---- Beside something else ----

HTMX = {"HX-Request": "true"}


def test_beside_a_question_stands_what_differs_and_nothing_of_the_page_around_it(developer, save):
    left, right = save("same", "before"), save("same", "after")

    part = developer.get(PAGE, {"left": left, "right": right, "only": "changes"}, headers=HTMX)

    text = part.content.decode()
    assert "1 changed" in text and "before" in text and "after" in text
    assert "<html" not in text and "Only changes" not in text and "Swap left and right" not in text
    assert "HX-Request" in part["Vary"]


def test_a_side_that_is_not_there_says_so_beside_the_question_too(developer, save):
    part = developer.get(PAGE, {"left": NOBODY, "right": save("a")}, headers=HTMX)

    assert part.status_code == 200
    assert f"{NOBODY}" in part.content.decode() and "<html" not in part.content.decode()
