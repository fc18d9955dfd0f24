"""Cells of exports: none is a formula, and what is none stays as it is."""

import pytest

from recovery.services.spreadsheet import harmless


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", " =cmd|' /C calc'!A0", "\ufeff=1", "\u200b@"],
)
def test_a_text_that_a_spreadsheet_would_run_is_marked_as_text(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "1-2", "", "  ", "ada@example.org", 5, -5, None, True])
def test_everything_else_stays_as_it_is(value):
    assert harmless(value) is value
