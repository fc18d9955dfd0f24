"""The parts of pages that take part: each says what it is about in words that a stream understands."""

import pytest

from recovery.live.topics import topics_of
from recovery.services.decide import decide
from rh_agents import Policy
from tests.recovery.asking import ask
from tests.web.conftest import ada_at, signed_in
from tests.web.pages import read

__all__ = ["ada_at", "signed_in"]

pytestmark = pytest.mark.django_db


def live_parts(page):
    tags = ("a", "article", "b", "div", "header", "ol", "p", "section", "span", "ul")
    return {one.attrs["id"]: one.attrs for tag in tags for one in page.all(tag) if "data-live" in one.attrs}


def test_each_part_names_its_topics_and_asks_when_it_is_told(ada, ada_at):
    waiting, decided = ask(), ask(Policy(undo_window_s=60))
    decide(decided.pk, by=ada, kind="approve")
    found = {}
    for path in ("/", f"/requests/{waiting.pk}/", f"/requests/{decided.pk}/", f"/states/{decided.state_id}/"):
        found |= live_parts(read(ada_at.get(path)))
    assert set(found) >= {"news", "request-changes", "progress", "poll"}
    for attrs in found.values():
        assert topics_of(attrs["data-live"].split())
        assert attrs["hx-get"].startswith("/")
        assert "live" in attrs["hx-trigger"].split(", ")
        assert all(float(attrs.get(f"data-live-{name}", 1)) > 0 for name in ("every", "gap", "in"))
    assert topics_of(found["progress"]["data-live"].split()) == {
        f"request:{decided.pk}",
        f"state:{decided.state_id}",
    }
    assert 0 < float(found["progress"]["data-live-in"]) <= 60


def test_a_server_without_streams_says_so_calmly(client):
    answer = client.get("/live/?on=inbox")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "no-store" in answer["Cache-Control"]
