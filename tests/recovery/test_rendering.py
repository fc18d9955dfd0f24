"""Texts of unknown origin and quantities: nothing active, nothing hidden, nothing endless."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from recovery.rendering import quantities
from recovery.rendering.markdown import AT_MOST_CHARACTERS, render
from recovery.rendering.plain import visible


def elements(html: str) -> list[tuple[str, dict[str, str]]]:
    """The tags of `html` as a browser reads them, with their attributes."""
    found: list[tuple[str, dict[str, str]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, {name: value or "" for name, value in attrs}))

    Reader().feed(html)
    return found


class TestMarkdown:
    def test_paragraphs_lists_and_emphasis_are_rendered(self) -> None:
        assert render("**Ada** asks\n\n1. one\n2. two\n") == (
            "<p><strong>Ada</strong> asks</p>\n<ol>\n<li>one</li>\n<li>two</li>\n</ol>\n"
        )

    def test_raw_html_is_text(self) -> None:
        assert render("<script>alert(1)</script>") == "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"

    @pytest.mark.parametrize(
        "text",
        [
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "[x](vbscript:x)",
            "<javascript:alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
            "<a href='https://a.example' onclick='x()'>x</a>",
            "<div style='position:fixed'>x</div>",
            "![x](https://a.example/pixel.png)",
            '<https://a.example/"onmouseover=alert(1)>',
            '[x](https://a.example "t\\" onclick=alert(1)")',
        ],
    )
    def test_nothing_can_run_or_load(self, text: str) -> None:
        for tag, attributes in elements(render(text)):
            assert tag in {"p", "a", "em"}
            assert set(attributes) <= {"href", "title", "rel"}
            assert attributes.get("href", "https://").startswith("https://")

    def test_links_lead_only_to_other_sites_and_pass_nothing_on(self) -> None:
        assert render("[a](https://a.example)") == (
            '<p><a href="https://a.example" rel="noopener noreferrer nofollow">a</a></p>\n'
        )
        assert "/logout" not in render("[out](/accounts/logout/)")

    def test_an_image_is_named_and_not_loaded(self) -> None:
        assert render('![a "door"](https://a.example/d.png)') == '<p><em>[image: a "door"]</em></p>\n'

    def test_headings_stay_below_those_of_the_page(self) -> None:
        assert render("# One") == "<h3>One</h3>\n"
        assert render("###### Six") == "<h6>Six</h6>\n"

    def test_a_table_scrolls_in_a_box_that_the_keyboard_reaches(self) -> None:
        html = render("| a | b |\n|---|--:|\n| 1 | 2 |\n")
        assert html.startswith('<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table')
        assert '<td class="number">2</td>' in html
        assert "style" not in html

    def test_characters_that_reorder_text_are_written_out(self) -> None:
        assert render("pay \u202eeciohc") == "<p>pay ⟨U+202E⟩eciohc</p>\n"

    def test_a_long_text_is_cut_and_says_so(self) -> None:
        html = render("a " * AT_MOST_CHARACTERS)
        assert html.endswith("<p><em>The text is longer; its first 32,768 characters are shown.</em></p>")

    @pytest.mark.parametrize("text", ["[", "*a ", "> ", "![", "`", "a**b", "| a ", "- "])
    @pytest.mark.timeout(60)
    def test_hostile_nesting_ends_where_the_text_is_cut(self, text: str) -> None:
        hostile = text * 100_000
        assert render(hostile).startswith(render(hostile[:AT_MOST_CHARACTERS]))


class TestVisibleText:
    def test_ordinary_text_of_any_language_is_left_alone(self) -> None:
        text = "Ødegård & Sønner\n\tЖя שלום 你好 👩‍🚀"
        assert visible(text) == text

    def test_what_cannot_be_seen_is_named(self) -> None:
        assert visible("a\x00b\x1b[31m") == "a␀b␛[31m"
        assert visible("pay\u200bpal\u2066") == "pay⟨U+200B⟩pal⟨U+2066⟩"
        assert visible("\udc80") == "⟨U+DC80⟩"
        for hidden in "\u061c\u200e\u200f\u2028\u3164\u2800\u180e\ufff9\ufeff":
            assert visible(f"a{hidden}b") == f"a⟨U+{ord(hidden):04X}⟩b"

    def test_letters_and_pictures_that_are_joined_stay_whole(self) -> None:
        for whole in ("\u0645\u06cc\u200c\u062e\u0648", "👩\u200d👧", "☺\ufe0f", "क्\u200dष"):
            assert visible(whole) == whole


class TestQuantities:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 ms"),
            (0.0124, "12 ms"),
            (0.84, "0.8 s"),
            (24.2, "24.2 s"),
            (59.96, "1 min"),
            (245, "4 min 5 s"),
            (4_320, "1 h 12 min"),
            (266_400, "3 d 2 h"),
            (-1, "–"),
            (float("nan"), "–"),
            (float("inf"), "–"),
        ],
    )
    def test_durations(self, seconds: float, words: str) -> None:
        assert quantities.duration(seconds) == words

    @pytest.mark.parametrize(
        ("count", "words"),
        [
            (0, "0 B"),
            (1023, "1023 B"),
            (3_174, "3.1 KB"),
            (1_048_500, "1.0 MB"),
            (12_582_912, "12 MB"),
            (2**50, "1024 TB"),
        ],
    )
    def test_sizes(self, count: int, words: str) -> None:
        assert quantities.size(count) == words

    @pytest.mark.parametrize(
        ("before", "words"),
        [
            (timedelta(seconds=0.2), "just now"),
            (timedelta(seconds=45), "45 s ago"),
            (timedelta(minutes=34), "34 min ago"),
            (timedelta(hours=-2, seconds=-5), "in 2 h"),
            (timedelta(days=9), "9 d ago"),
            (timedelta(days=90), "25 Aug 2026"),
        ],
    )
    def test_times(self, before: timedelta, words: str) -> None:
        now = datetime(2026, 11, 23, 16, tzinfo=UTC)
        assert quantities.ago(now - before, now) == words
