"""What is shown of an artifact: by its type, only its head, and never as something active."""

from decimal import Decimal

import pandas
import pytest
from pydantic import BaseModel

from recovery.rendering.preview import preview
from recovery.rendering.window import HEAD_BYTES
from rh_agents.core.serialization import encode_artifact

FIFTY_MB = 50 * 1024 * 1024


class Order(BaseModel):
    id: str
    amount: Decimal


class TestPreview:
    def test_text_is_shown_as_it_stands(self) -> None:
        shown = preview(b"a <b>\n", "text/plain")
        assert (shown.kind, shown.text, shown.note) == ("text", "a <b>\n", "6 B")

    def test_json_is_a_tree(self) -> None:
        shown = preview(b'{"a": 1}', "application/vnd.api+json; charset=utf-8")
        assert shown.kind == "json"
        assert shown.tree is not None
        assert shown.tree.label == "1 key"

    def test_markdown_is_rendered(self) -> None:
        assert preview(b"*a*", "text/markdown").html == "<p><em>a</em></p>\n"

    def test_other_types_are_only_for_download(self) -> None:
        for media_type in ("image/tiff", "text-html", "application/octet-stream", "application/x-pickle", ""):
            assert preview(b"\x89PNG", media_type).kind == "download"

    def test_html_and_svg_are_shown_as_their_source(self) -> None:
        for media_type in ("text/html", "image/svg+xml"):
            shown = preview(b"<script>x</script>", media_type)
            assert shown.kind == "code"
            assert "<script" not in shown.html and "&lt;" in shown.html

    def test_an_empty_artifact_says_so(self) -> None:
        assert preview(b"", "text/plain").note == "empty"
        assert preview(b"", "text/csv").note == "empty"


class TestPreviewOfValues:
    """What a run keeps that is no text: written by the engine, shown without loading the classes of the run."""

    def test_a_model_is_shown_as_its_fields_and_not_as_its_notation(self) -> None:
        encoded = encode_artifact(Order(id="A", amount=Decimal("2.50")))
        shown = preview(encoded.payload, encoded.media_type, codec=encoded.codec)
        assert shown.tree is not None
        assert [(child.key, child.text) for child in shown.tree.children] == [("id", '"A"'), ("amount", '"2.50"')]

    def test_a_data_frame_is_a_table(self) -> None:
        frame = pandas.DataFrame({"city": ["Lund"] * 60, "count": [*range(60)], "gone": [None] * 60})
        encoded = encode_artifact(frame)
        shown = preview(encoded.payload, encoded.media_type, codec=encoded.codec)
        assert shown.table is not None
        assert shown.table.columns == ["city", "count", "gone"]
        assert shown.table.rows[1] == ["Lund", "1", ""]
        assert shown.table.numeric == {1}
        assert shown.note.startswith("50 of 60 rows, ")

    def test_bytes_that_are_no_value_are_broken(self) -> None:
        assert preview(b'{"$t":', "application/json", codec="json").kind == "broken"

    def test_a_pickle_is_never_read(self) -> None:
        assert preview(b"cos\nsystem\n", "application/octet-stream", codec="pickle").kind == "download"


class TestPreviewOfTables:
    def test_the_first_row_names_the_columns_and_numbers_stand_right(self) -> None:
        table = preview(b"city,count\nLund,1\nBonn,22\n", "text/csv").table
        assert table is not None
        assert table.columns == ["city", "count"]
        assert table.rows == [["Lund", "1"], ["Bonn", "22"]]
        assert table.numeric == {1}

    def test_rows_without_a_header_get_numbered_columns(self) -> None:
        table = preview(b"1,2\n3,4\n", "text/csv").table
        assert table is not None
        assert (table.columns, len(table.rows)) == (["1", "2"], 2)

    @pytest.mark.parametrize(
        "payload",
        [
            b"a;b\n1,5;2,5\n",
            b"a\tb\n1,5\t2,5\n",
            b"a|b\n1,5|2,5\n",
            b'"a","b"\n"1,5","2,5"\n',
            b"\xef\xbb\xbfa;b\n1,5;2,5",
        ],
    )
    def test_the_delimiter_is_found(self, payload: bytes) -> None:
        table = preview(payload, "text/csv").table
        assert table is not None
        assert (table.columns, table.rows) == (["a", "b"], [["1,5", "2,5"]])

    def test_fifty_rows_of_all_are_shown(self) -> None:
        shown = preview(b"n\n" + b"".join(b"%d\n" % number for number in range(1_234)), "text/csv")
        assert shown.table is not None
        assert len(shown.table.rows) == 50
        assert shown.note.startswith("50 of 1,234 rows, ")

    def test_short_rows_are_filled_and_long_ones_get_columns(self) -> None:
        table = preview(b"a,b\n1\n1,2,3\n", "text/csv").table
        assert table is not None
        assert (table.columns, table.rows) == (["a", "b", "3"], [["1", "", ""], ["1", "2", "3"]])

    def test_a_wide_table_shows_forty_columns(self) -> None:
        shown = preview(b",".join(b"c" for _ in range(500)), "text/csv")
        assert shown.table is not None
        assert len(shown.table.columns) == 40
        assert "40 of 500 columns" in shown.note

    def test_a_formula_is_text_like_any_other_cell(self) -> None:
        table = preview(b'a,b\n"=HYPERLINK(""http://x"")",@SUM(1)\n', "text/csv").table
        assert table is not None
        assert table.rows == [['=HYPERLINK("http://x")', "@SUM(1)"]]

    def test_a_row_that_the_head_cuts_in_two_is_not_shown(self) -> None:
        table = preview(b"a,b\n1,2\n3,4", "text/csv", size=FIFTY_MB).table
        assert table is not None
        assert table.rows == [["1", "2"]]


class TestPreviewOfBrokenBytes:
    def test_bytes_that_are_not_in_their_charset_say_where(self) -> None:
        shown = preview("naïve".encode("latin-1"), "text/plain")
        assert (shown.kind, shown.reason) == ("broken", "it is not utf-8 text: invalid continuation byte at byte 2")

    def test_a_named_charset_is_used(self) -> None:
        assert preview("naïve".encode("latin-1"), 'text/plain; charset="ISO-8859-1"').text == "naïve"

    @pytest.mark.parametrize("charset", ["no-such", "rot13", "zlib", "idna", "unicode_escape", "raw_unicode_escape"])
    def test_only_charsets_of_text_are_accepted(self, charset: str) -> None:
        assert preview(b"abc", f"text/plain; charset={charset}").kind == "broken"

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b'{"a": [1,', "it is not JSON: Expecting value at line 1, column 10"),
            (b"[" * 100_000, "it is nested too deeply"),
            (b"9" * 100_000, "it holds a number that is too long"),
        ],
    )
    def test_json_that_cannot_be_read_says_why_and_shows_its_text(self, payload: bytes, reason: str) -> None:
        shown = preview(payload, "application/json")
        assert (shown.kind, shown.reason) == ("broken", reason)
        assert shown.text == payload.decode()[:20_000]

    def test_a_character_that_the_head_cuts_in_two_is_no_damage(self) -> None:
        assert preview("aé".encode()[:2], "text/plain", size=FIFTY_MB).text == "a"
        assert preview("aé".encode()[:2], "text/plain").kind == "broken"


class TestPreviewOfLargeArtifacts:
    @pytest.mark.parametrize("media_type", ["text/plain", "text/csv", "application/json", "text/markdown"])
    @pytest.mark.parametrize("unit", [b"a", b'"', b"[", b",", b"\n", b'"a",\n', b"\xc3\xa9", b"1 "])
    def test_only_the_head_is_read(self, media_type: str, unit: bytes) -> None:
        payload = unit * (FIFTY_MB // len(unit))
        shown = preview(payload, media_type)
        assert shown == preview(payload[:HEAD_BYTES], media_type, size=len(payload))
        assert len(shown.text) <= 20_000
        assert len(shown.html) < 1_000_000

    def test_the_note_says_how_much_there_is(self) -> None:
        assert preview(b"a" * 200_000, "text/plain", size=FIFTY_MB).note == "the first 20,000 characters of 50 MB"
