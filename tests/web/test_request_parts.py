"""What htmx is given of a request, where the focus goes, and what is never put into a part."""

import pytest

from rh_agents.core.serialization import decode
from tests.recovery.conftest import work
from tests.web.pages import Element, read
from tests.web.request_pages import form_in, look, post, written

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("change", "status", "given", "out_of_band"),
    [
        (
            {"proposal:check": ""},
            200,
            "entry",
            {"call", "edits", "digest", "votes-fall", "decision-note", "approve-form-words"},
        ),
        (
            {"kind": "approve", "proposal.amount": "x"},
            422,
            "entry",
            {"call", "edits", "digest", "votes-fall", "decision-note", "approve-form-words"},
        ),
        (
            {"proposal:check": "", "live": ""},
            200,
            None,
            {"call", "edits", "digest", "votes-fall", "decision-note", "approve-form-words", "proposal-words"},
        ),
        ({"kind": "approve", "seen_version": "7"}, 412, "request", set()),
        ({"kind": "approve"}, 200, "request", {"waiting-count"}),
    ],
    ids=["check", "invalid", "while typing", "stale", "decided"],
)
def test_htmx_is_given_only_what_changes_with_the_same_status(refund, ada_at, htmx, change, status, given, out_of_band):
    answer = post(ada_at, refund, form_in(look(ada_at, refund)) | change, headers=htmx)
    part = read(answer)
    assert answer.status_code == status
    assert b"<html" not in answer.content and "HX-Request" in answer["Vary"]
    swapped = {one.attrs["id"] for one in part.all() if "hx-swap-oob" in one.attrs}
    at_top = [one.attrs["id"] for one in part.children if isinstance(one, Element)]
    assert swapped == out_of_band
    assert [name for name in at_top if name not in swapped] == ([given] if given else [])
    assert answer.headers.get("HX-Retarget") == ("#entry" if given == "entry" else None)


def test_the_focus_goes_to_what_was_decided_or_stands_in_the_way_and_never_while_typing(refund, ada_at, htmx):
    data = form_in(look(ada_at, refund))

    def focus(change):
        part = read(post(ada_at, refund, data | change, headers=htmx))
        return [one.attrs["id"] for one in part.all() if "autofocus" in one.attrs]

    assert focus({"proposal.amount": "x", "proposal:check": "", "live": ""}) == []
    assert focus({"proposal.amount": "x", "proposal:check": ""}) == []
    assert focus({"proposal.amount": "x", "kind": "approve"}) == ["decision-note"]
    assert focus({"kind": "approve", "seen_version": "7"}) == ["refusal"]
    assert focus({"kind": "approve"}) == ["progress-note"]


@pytest.mark.parametrize(
    ("act", "focus"),
    [
        ({"proposal:add": "lines"}, "proposal-lines-2"),
        ({"proposal:remove": "lines.0"}, "proposal-lines-0"),
        ({"proposal:remove": "lines.1"}, "proposal-lines-0"),
        ({"proposal:reset": "lines.0.sku"}, "proposal-lines-0-sku"),
        ({"proposal:remove": "elsewhere.7"}, None),
    ],
)
def test_rows_come_and_go_without_deciding_and_the_focus_goes_on_beside_them(order, ada_at, act, focus):
    before = written()
    data = form_in(look(ada_at, order)) | {"proposal.lines.0.sku": "Z-9"}
    answer = post(ada_at, order, data | act)
    assert answer.status_code == 200
    assert read(answer).one("div", id="entry").attrs.get("data-focus") == focus
    assert written() == before


def test_an_added_row_is_part_of_what_runs(order, ada_at):
    page = read(post(ada_at, order, form_in(look(ada_at, order)) | {"proposal:add": "lines"}))
    new = {"proposal.lines.2.sku": "C-3", "proposal.lines.2.quantity": "4", "proposal.lines.2.price": "1"}
    assert set(new) < set(form_in(page))
    assert post(ada_at, order, form_in(page) | new | {"kind": "approve"}).status_code == 302
    assert decode(work(order.state_id).output) == "2 A-1, 1 B-2, 4 C-3"
