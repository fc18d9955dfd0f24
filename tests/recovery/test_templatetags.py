"""The small marks of the pages: a word beside every icon, the whole value behind every short one, nothing unescaped."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.template import Context, Template

from recovery.rendering import marks

NOW = datetime(2026, 11, 23, 16, 35, 12, tzinfo=UTC)
SYMBOLS = set(re.findall(r'<symbol id="([^"]+)"', (settings.BASE_DIR / "static" / "icons.svg").read_text()))


def drawn(source: str, **values: Any) -> str:
    return Template("{% load recovery_tags %}" + source).render(Context(values))


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


class TestIcons:
    def test_an_icon_is_hidden_from_screen_readers(self) -> None:
        assert drawn('{% icon "check" %}') == (
            '<svg class="icon" aria-hidden="true"><use href="/static/icons.svg#check"/></svg>'
        )

    def test_every_mark_has_a_symbol_and_a_word(self) -> None:
        tables = [value for name, value in vars(marks).items() if name.endswith("_MARKS")]
        assert len(tables) == 7
        for mark in (mark for table in tables for mark in table.values()):
            assert mark.word
            assert mark.icon in SYMBOLS
            assert mark.tone in {"", "ok", "warn", "bad", "accent"}
        assert set(marks.STEP_ICONS.values()) | {f"risk-{name}" for name, _ in marks.RISKS} <= SYMBOLS

    def test_every_icon_that_a_template_names_has_a_symbol(self) -> None:
        folder = Path(settings.BASE_DIR) / "templates"
        named = {
            name
            for template in folder.rglob("*.html")
            for name in re.findall(r'(?:\{% (?:icon|badge "[^"]*") |icon_name=)"([^"]+)"', template.read_text())
        }
        assert named
        assert named <= SYMBOLS


class TestBadges:
    def test_a_status_is_a_word_with_an_icon_and_a_tone(self) -> None:
        html = drawn('{% state_badge "failed" %}')
        assert html.startswith('<span class="badge badge-bad"><svg')
        assert words(html) == "Failed"

    def test_a_status_of_a_newer_program_is_shown_as_it_stands(self) -> None:
        assert drawn("{% state_badge status %}", status="<odd>").endswith("&lt;odd&gt;</span>")

    def test_a_refused_decision_says_why_instead_of_what(self) -> None:
        assert words(drawn('{% decision_badge "approve" "" %}')) == "Approved"
        assert words(drawn('{% decision_badge "approve" "already_resolved" %}')) == "Came second"

    def test_a_step_says_how_often_it_was_tried(self) -> None:
        assert words(drawn('{% step_status "failed" 3 %}')) == "Failed, 3×"
        assert words(drawn('{% step_status "completed" 1 True %}')) == "Waited"

    def test_risk_is_bars_and_a_word(self) -> None:
        html = drawn("{% risk 3 %}")
        assert "#risk-critical" in html
        assert words(html) == "Critical"


class TestTimes:
    @pytest.fixture(autouse=True)
    def _now(self) -> Iterator[None]:
        with time_machine.travel(NOW, tick=False):
            yield

    def test_a_time_is_relative_with_the_exact_one_on_hover(self) -> None:
        assert drawn('{% since when "opened" %}', when=NOW - timedelta(minutes=34)) == (
            '<time datetime="2026-11-23T16:01:12+00:00" title="opened 2026-11-23 16:01:12 UTC">34 min ago</time>'
        )

    def test_an_age_leaves_out_what_is_understood(self) -> None:
        assert words(drawn("{% age when %}", when=NOW - timedelta(hours=2, minutes=50))) == "2 h"

    def test_no_time_is_a_dash(self) -> None:
        assert drawn("{% since None %}{% age None %}{% moment None %}") == "–––"

    @pytest.mark.parametrize(
        ("left", "tone", "text"),
        [
            (timedelta(minutes=-6), "due due-over", "Due 6 min over"),
            (timedelta(minutes=12), "due due-soon", "Due in 12 min"),
            (timedelta(hours=3), "due", "Due in 3 h"),
        ],
    )
    def test_a_due_date_says_how_much_is_left(self, left: timedelta, tone: str, text: str) -> None:
        html = drawn("{% due when %}", when=NOW + left)
        assert html.startswith(f'<span class="{tone}">')
        assert re.search(r'<time datetime="2026-[^"]+" title="due 2026-', html)
        assert words(html) == text

    def test_nothing_is_due_without_a_date(self) -> None:
        assert drawn("{% due None %}") == ""


class TestPeople:
    ada = User(pk=1, username="ada", first_name="Ada", last_name="Reyes")
    grace = User(pk=2, username="grace.okafor")

    def test_the_viewer_is_you(self) -> None:
        html = drawn("{% person user viewer %}", user=self.ada, viewer=self.ada)
        assert "avatar avatar-me" in html
        assert words(html) == "AR You"

    def test_others_have_a_first_name_and_their_whole_name_on_hover(self) -> None:
        html = drawn("{% person user viewer %}", user=self.ada, viewer=self.grace)
        assert 'title="Ada Reyes"' in html
        assert words(html) == "AR Ada"

    def test_an_account_without_a_name_is_known_by_its_username(self) -> None:
        assert words(drawn("{% person user %}", user=self.grace)) == "GO grace.okafor"

    def test_who_was_deleted_keeps_the_name_that_was_written_down(self) -> None:
        assert words(drawn("{% person None None name %}", name="Tomás Varga")) == "TV Tomás Varga"
        assert words(drawn('{% person None None "" %}')) == "NO Nobody"


class TestIdsAndAddresses:
    def test_an_id_is_short_and_copied_whole(self) -> None:
        html = drawn('{% short_id value "state id" "/states/1/" %}', value="7c1e4b0a-1111-2222")
        assert words(html) == "7c1e4b0a"
        assert 'data-copy="7c1e4b0a-1111-2222"' in html
        assert 'aria-label="Copy state id"' in html
        assert 'href="/states/1/"' in html

    def test_an_address_breaks_after_its_separators_only(self) -> None:
        assert drawn("{% address value %}", value="a::b[0]::tool_call") == (
            '<code class="address">a::<wbr>b[0]::<wbr>tool_call</code>'
        )

    def test_an_address_is_escaped_and_hides_nothing(self) -> None:
        assert drawn("{{ value|breakable }}", value="<b>::\u202ex") == "&lt;b&gt;::<wbr>⟨U+202E⟩x"

    def test_tags_are_words_or_rows_and_escaped(self) -> None:
        html = drawn("{% tag_list tags %}", tags=["eu", SimpleNamespace(tag="<vip>")])
        assert html == (
            '<span class="tag" title="eu">eu</span> <span class="tag" title="&lt;vip&gt;">&lt;vip&gt;</span>'
        )
