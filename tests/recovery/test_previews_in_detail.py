"""Looking closer at artifacts: sorted tables, coloured code, pictures, and what is found in a tree."""

import struct
from typing import Any

import pytest

from recovery.rendering import pictures
from recovery.rendering.code import LONGEST_LINE, coloured, language_of
from recovery.rendering.json_search import FOUND_AT_MOST, search
from recovery.rendering.json_tree import AT_MOST_CHILDREN, Node, tree
from recovery.rendering.preview import preview
from recovery.rendering.window import Window


class TestSortedTables:
    CSV = b"name,amount\nb,10\na,9\n\xc3\x84,-2.5\nc,\n"

    def names(self, **window: Any) -> list[str]:
        table = preview(self.CSV, "text/csv", window=Window(**window)).table
        assert table is not None
        return [row[0] for row in table.rows]

    def test_numbers_are_sorted_by_size_and_empty_cells_come_last_in_both_directions(self) -> None:
        assert self.names() == ["b", "a", "Ä", "c"]
        assert self.names(sort=1) == ["Ä", "a", "b", "c"]
        assert self.names(sort=1, descending=True) == ["b", "a", "Ä", "c"]

    def test_texts_are_sorted_by_their_letters(self) -> None:
        assert self.names(sort=0) == ["a", "b", "c", "Ä"]

    def test_a_column_that_is_not_there_sorts_nothing(self) -> None:
        assert self.names(sort=7) == self.names()

    def test_all_rows_are_sorted_not_only_those_that_are_shown(self) -> None:
        rows = "n\n" + "".join(f"{number}\n" for number in range(500))
        table = preview(rows.encode(), "text/csv", window=Window(rows=2, sort=0, descending=True)).table
        assert table is not None and [row[0] for row in table.rows] == ["499", "498"]
        assert table.next_rows == 8

    @pytest.mark.parametrize(
        "cells",
        [
            ["1", "10", "9"],
            ["1,000", "999", "2,000,000"],
            ["1.5", "1,25", "1.75"],
            ["1.234,50", "1,234.75", "2"],
            ["5 %", "10 %", "9%"],
        ],
    )
    def test_numbers_as_people_write_them(self, cells: list[str]) -> None:
        text = "x;n\n" + "".join(f"{cell};{place}\n" for place, cell in enumerate(cells))
        table = preview(text.encode(), "text/csv", window=Window(sort=0)).table
        assert table is not None
        values = {"1,000": 1000, "2,000,000": 2e6, "1,25": 1.25, "1.234,50": 1234.5, "1,234.75": 1234.75}
        by_size = sorted(cells, key=lambda cell: values.get(cell) or float(cell.rstrip(" %")))
        assert [row[0] for row in table.rows] == by_size


class TestCode:
    def test_words_have_classes_and_the_text_is_what_it_was(self) -> None:
        html = coloured("def f(x):\n    return '<b>'\n", "python")
        assert html is not None
        assert '<span class="hl-k">def</span>' in html and "&lt;b&gt;" in html and "style=" not in html

    @pytest.mark.parametrize(
        ("media_type", "name", "language"),
        [
            ("text/x-python", "", "python"), ("text/plain", "a/b.py", "python"), ("text/plain", "notes.txt", ""),
            ("text/plain", "Dockerfile", "docker"), ("text/html", "x.bin", "html"), ("text/plain", "", ""),
            ("text/plain", "x" * 5000 + ".sql", "sql"), ("text/plain", "a\nb.py", ""),
        ],
    )  # fmt: skip
    def test_the_language_is_said_by_the_type_or_the_name(self, media_type: str, name: str, language: str) -> None:
        assert language_of(media_type, name) == language

    def test_lines_that_nobody_wrote_are_left_plain(self) -> None:
        assert coloured("x" * (LONGEST_LINE + 1), "python") is None
        assert preview(b"a" * (LONGEST_LINE + 1), "text/x-python").kind == "text"
        assert coloured("x", "no-such-language") is None

    def test_what_turns_the_direction_of_reading_is_written_out_in_code_too(self) -> None:
        shown = preview("if x: #\u202e }".encode(), "text/x-python")
        assert "\u202e" not in shown.html and "⟨U+202E⟩" in shown.html


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)


class TestPictures:
    @pytest.mark.parametrize(
        "head",
        [
            _png(3, 2),
            b"GIF89a" + struct.pack("<HH", 3, 2),
            b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 2, 3),
            b"RIFF....WEBPVP8X" + b"\0" * 8 + (2).to_bytes(3, "little") + (1).to_bytes(3, "little"),
            b"RIFF....WEBPVP8L" + b"\0" * 5 + (2 | 1 << 14).to_bytes(4, "little") + b"\0" * 5,
            b"RIFF....WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 3, 2),
        ],
        ids=["png", "gif", "jpeg", "webp", "webp lossless", "webp lossy"],
    )
    def test_the_size_is_read_from_the_first_bytes(self, head: bytes) -> None:
        assert pictures.size_of(head) == (3, 2)
        for end in range(len(head)):
            found = pictures.size_of(head[:end])
            assert found is None or found == (3, 2)

    def test_a_picture_is_one_only_if_its_bytes_say_so(self) -> None:
        assert preview(_png(3, 2), "image/png").picture == (3, 2)
        assert preview(b"<svg onload=alert(1)>", "image/png").kind == "broken"
        assert preview(b"\xff\xd8\xff" + b"\xff" * 50, "image/jpeg").kind == "broken"

    def test_a_picture_that_unfolds_to_gigabytes_is_not_drawn(self) -> None:
        shown = preview(_png(60_000, 60_000), "image/png")
        assert (shown.kind, shown.note) == ("download", "60,000 × 60,000, 24 B")
        assert preview(_png(3, 2), "image/png", size=50_000_000).kind == "download"


def _leaves(node: Node) -> list[str]:
    return (
        [f"{node.key}: {node.text}"]
        if not node.is_container
        else [x for child in node.children for x in _leaves(child)]
    )


class TestTreesByParts:
    def test_a_long_list_goes_on_where_it_was_cut(self) -> None:
        value = {"rows": list(range(250))}
        whole = tree(value)
        rows = whole.children[0]
        assert (len(rows.children), rows.more, rows.path, rows.next) == (100, "150 more", "0", AT_MOST_CHILDREN)
        rest = tree(value, (0,), 200)
        assert [child.text for child in rest.children] == [str(number) for number in range(200, 250)]
        assert (rest.key, rest.more, rest.children[0].path) == ("rows", "", "0.200")

    def test_what_is_too_deep_for_one_look_can_be_looked_into(self) -> None:
        value: Any = "end"
        for _ in range(30):
            value = {"in": value}
        node = tree(value)
        while node.children:
            node = node.children[0]
        assert (node.more, node.next) == ("1 more", 0)
        assert tree(value, tuple(map(int, node.path.split(".")))).children

    @pytest.mark.parametrize("at", [(5,), (0, 0), (0, 1, 2)])
    def test_a_place_that_is_not_there_is_said(self, at: tuple[int, ...]) -> None:
        with pytest.raises(LookupError):
            tree({"a": 1}, at)
        assert preview(b'{"a": 1}', "application/json", window=Window(at=at)).kind == "broken"


class TestSearch:
    VALUE = {"order": {"id": "A-17", "lines": [{"sku": "x"}, {"sku": "Needle"}]}, "needles": 2, "other": None}

    def test_names_and_values_are_found_with_what_leads_to_them(self) -> None:
        found = search(self.VALUE, "needle")
        assert found.tree is not None and found.count == 2
        assert _leaves(found.tree) == ['sku: "Needle"', "needles: 2"]
        assert [child.key for child in found.tree.children] == ["order", "needles"]
        assert all(child.is_open for child in found.tree.children if child.is_container)

    def test_what_is_not_there_is_not_found(self) -> None:
        assert search(self.VALUE, "absent").tree is None
        assert search(5, "5").count == 1

    def test_of_very_many_places_the_first_are_shown(self) -> None:
        found = search(["same"] * 5000, "same")
        assert (found.count, found.is_cut) == (FOUND_AT_MOST, True)

    def test_an_endless_value_has_an_end(self) -> None:
        value: list[Any] = []
        value.append(value)
        assert search(value, "x").tree is None
