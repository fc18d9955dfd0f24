"""The page of a request in Chromium: the difference while one types, evidence looked at closer, hostile content."""

import re
import struct
import zlib

import pytest
from playwright.sync_api import expect

from recovery.models import ApprovalRequest, Decision
from recovery.services.questions import current_version, proposal_of
from tests.browser.axe import violations
from tests.browser.test_inbox_and_request import address, waiting
from tests.web import order_pipeline  # noqa: F401  registers its pipeline
from tests.web.test_request_cost import comment, steps
from tests.web.test_request_evidence import shows

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
MARKDOWN = f"# Hi\n{HOSTILE}\n[x](javascript:alert(4)) ![y](http://127.0.0.1:1/z.png)\n```js\n{HOSTILE}\n```"
NARROW = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
WIDE = {"viewport": {"width": 1280, "height": 900}}


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x30\x60\xa0" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def refund(work):
    return waiting("test-refund", work)


@pytest.fixture
def at(open_page, live_server, sign_in):
    """A page of the request in a browser of that person; a dialog that opens is a fault."""

    def at(request, person, **options):
        page = sign_in(open_page(**options), person)
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
        page.goto(address(live_server, request))
        return page

    return at


@pytest.mark.parametrize("options", [WIDE, NARROW], ids=["wide", "narrow"])
def test_before_and_after_follow_what_is_typed_and_nothing_typed_is_touched(refund, ada, at, options):
    page = at(refund, ada, **options)
    amount = page.get_by_label("amount")
    expect(page.locator("#edits")).to_be_hidden()
    amount.fill("")
    amount.press_sequentially("401.5", delay=20)
    expect(page.locator("#edits td")).to_have_text(["420.00", "401.5"])
    expect(amount).to_be_focused()
    expect(amount).to_have_value("401.5")
    amount.press("End")
    amount.press_sequentially("0")
    expect(page.locator("#edits td")).to_have_text(["420.00", "401.50"])
    amount.fill("a lot")
    expect(page.locator("#decision-note")).to_contain_text("1 to correct")
    expect(amount).to_have_value("a lot")
    amount.fill("420.00")
    expect(page.locator("#edits")).to_be_hidden()
    assert not Decision.objects.exists()


def test_the_difference_is_shown_without_a_script_too(refund, ada, at):
    page = at(refund, ada, java_script_enabled=False)
    page.get_by_role("textbox", name="amount").fill("399.00")
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator("#edits td")).to_have_text(["420.00", "399.00"])
    expect(page.get_by_role("textbox", name="amount")).to_have_value("399.00")
    assert page.url.endswith("#run")


def test_rows_are_moved_and_the_order_is_what_runs(ada, at, work):
    request = waiting("test-order", work)
    page = at(request, ada)
    page.get_by_role("button", name="Move lines 2 up").click()
    expect(page.locator("#edits td")).to_have_text(["1, 2", "2, 1"])
    expect(page.get_by_label("lines 1, sku")).to_have_value("B-2")
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_be_visible()
    assert [line.sku for line in proposal_of(current_version(request)).lines] == ["B-2", "A-1"]


def test_what_was_typed_goes_into_the_json_and_errors_say_where(ada, at, work):
    page = at(waiting("test-order", work), ada)
    page.get_by_label("number").fill("Z-9")
    page.locator("#proposal-json").click()
    text = page.locator("#proposal-lines")
    expect(page.locator("#proposal-number")).to_have_value('"Z-9"')
    text.fill('[{"sku": "A", "quantity": 0, "price": "1"}]')
    page.locator("#decide-approve").click()
    expect(page.locator("#proposal-lines-error")).to_contain_text("0.quantity: This must be at least 1.")
    expect(text).to_have_value('[{"sku": "A", "quantity": 0, "price": "1"}]')
    text.fill('[{"sku": "A", "quantity": 3, "price": "1"}]')
    page.locator("#decide-approve").click()
    expect(page.locator("#progress")).to_be_visible()


@pytest.mark.parametrize("options", [WIDE, NARROW], ids=["wide", "narrow"])
def test_evidence_is_looked_at_closer_in_its_place_and_what_is_typed_stays(refund, ada, at, options):
    rows = "name,amount\n" + "".join(f"n{n},{(n * 7) % 50}\n" for n in range(120))
    tree = {"rows": [{"sku": f"A-{n}"} for n in range(130)]}
    shows(
        refund,
        table__csv=(rows, "text/csv"),
        tree=(tree, "application/json"),
        photo__png=(png(1500, 300), "image/png"),
        notes__txt=("line\n" * 20_000, "text/plain"),
    )
    page = at(refund, ada, **options)
    page.get_by_label("amount").fill("400")
    table = page.locator("#evidence-1")
    table.get_by_role("link", name="amount").click()
    expect(table.locator("th[aria-sort=ascending]")).to_have_text("amount")
    expect(table.locator("tbody tr").first.locator("td").last).to_have_text("0")
    tree_panel = page.locator("#evidence-2")
    tree_panel.locator("summary").first.click()
    tree_panel.locator(".json-tree summary").nth(1).click()
    tree_panel.get_by_role("link", name="30 more").click()
    expect(tree_panel.locator(".json-tree")).to_contain_text("A-129")
    tree_panel.get_by_role("searchbox").fill("A-77")
    tree_panel.get_by_role("searchbox").press("Enter")
    expect(tree_panel.locator(".json-tree")).to_contain_text('"A-77"')
    expect(tree_panel.locator(".json-tree")).not_to_contain_text('"A-1"')
    photo = page.locator("#evidence-3")
    photo.locator("summary").first.click()
    image = photo.locator("img")
    expect(image).to_be_visible()
    small = image.bounding_box()["width"]
    photo.locator(".picture summary").focus()
    page.keyboard.press("Enter")
    expect(photo.locator(".picture details")).to_have_attribute("open", "")
    assert small < image.bounding_box()["width"] == 1500
    notes = page.locator("#evidence-4")
    notes.locator("summary").first.click()
    expect(notes.locator("pre")).to_contain_text("line")
    expect(page.get_by_label("amount")).to_have_value("400")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_content_is_only_ever_read(refund, ada, at, live_server):
    shows(
        refund,
        page__html=(HOSTILE, "text/html"),
        picture__svg=(f"<svg xmlns='http://www.w3.org/2000/svg'>{HOSTILE}</svg>", "image/svg+xml"),
        notes__md=(MARKDOWN, "text/markdown"),
        table__csv=(f"{HOSTILE},=cmd()\n{HOSTILE},1\n", "text/csv"),
        tree=({HOSTILE: [HOSTILE, "\u202eabc\u2066"]}, "application/json"),
        long__txt=("x" * 120_000, "text/plain"),
    )
    ApprovalRequest.objects.filter(pk=refund.pk).update(title=HOSTILE, message=HOSTILE, group="")
    comment(refund, ada, 1)
    Decision.objects.filter(kind="comment").update(comment=HOSTILE, actor_name=HOSTILE[:50])
    page = at(refund, ada)
    asked = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.get_by_label("amount").fill(HOSTILE)
    for item in page.locator("details.evidence-item").all():
        if item.get_attribute("open") is None:
            item.locator("summary").first.click()
    expect(page.locator("#edits ins")).to_have_text(HOSTILE)
    expect(page.locator("#evidence-6 pre")).to_contain_text("xxx")
    assert page.locator("main img, main script, main iframe, main object, main embed").count() == 0
    assert page.locator("main a[href^='javascript'], main [onerror], main [onload], main [style]").count() == 0
    assert "\u202e" not in page.content()
    assert all(url.startswith(live_server.url) for url in asked)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for link in page.locator("#evidence-1 a, #evidence-2 a").filter(has_text="Download").all():
        with page.expect_download() as download:
            link.click()
        assert re.fullmatch(r"(page\.html|picture\.svg)", download.value.suggested_filename)


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (360, "light"), (700, "dark"), (1280, "light")])
def test_it_fits_and_axe_finds_nothing(refund, ada, at, width, scheme):
    shows(
        refund,
        table__csv=("name,amount\n" + "a,1\n" * 60, "text/csv"),
        patch__py=("# why\ndef f():\n    return 1 + 'a'\n", "text/plain"),
        photo__png=(png(900, 300), "image/png"),
        tree=({"rows": list(range(130))}, "application/json"),
        file__pdf=(b"%PDF-1.7", "application/pdf"),
    )
    steps(refund, 8)
    comment(refund, ada, 25)
    options = {"viewport": {"width": width, "height": 740}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = at(refund, ada, **options)
    page.get_by_label("amount").fill("400.00")
    expect(page.locator("#edits")).to_be_visible()
    for item in page.locator("details.evidence-item").all():
        if item.get_attribute("open") is None:
            item.locator("summary").first.click()
    for state in ("as fields", "as JSON"):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        found = violations(page)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], state
        if state == "as fields":
            page.locator("#proposal-json").click()
            expect(page.locator("[name='proposal:layout']")).to_have_count(1)
    bar = page.locator(".decision-bar").bounding_box()
    assert bar["y"] + bar["height"] <= 741 and bar["height"] < 200
    main = page.locator("#decide-approve").bounding_box()
    assert main["height"] >= 32 and main["x"] >= 0


def test_earlier_comments_come_above_the_others(refund, ada, at):
    comment(refund, ada, 45)
    page = at(refund, ada)
    said = page.locator(".comment-text")
    expect(said).to_have_count(20)
    page.get_by_role("link", name="Earlier comments").click()
    expect(said).to_have_count(40)
    page.get_by_role("link", name="Earlier comments").click()
    expect(said).to_have_count(45)
    expect(said.first).to_have_text("said 0")
    expect(page.get_by_role("link", name="Earlier comments")).to_have_count(0)
