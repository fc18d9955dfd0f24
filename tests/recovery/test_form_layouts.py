"""How lists are drawn: as lines, as a table, as groups that fold."""

import re

from django.template.loader import render_to_string
from pydantic import BaseModel, Field

from recovery.forms import ModelForm


class Column(BaseModel):
    source: str = Field(frozen=True)
    name: str = Field(description="Lower case.")
    load: bool = True


class Section(BaseModel):
    heading: str
    changes: list[str]


class Plan(BaseModel):
    columns: list[Column] = []
    sections: list[Section] = []
    words: list[str] = []
    choices: list[int | str] = []


def layout(field: str, **values: object) -> str:
    return ModelForm(Plan, Plan.model_validate(values))[field].layout  # type: ignore[attr-defined]


def html(**values: object) -> str:
    return render_to_string("recovery/_model_form.html", {"form": ModelForm(Plan, Plan.model_validate(values))})


COLUMNS = [{"source": "A", "name": "a"}, {"source": "B", "name": "b"}]


def test_flat_models_stand_in_a_table_single_values_in_lines_and_everything_else_in_groups() -> None:
    assert layout("columns", columns=COLUMNS) == "table"
    assert layout("words", words=["one", "two"]) == "lines"
    assert layout("sections", sections=[{"heading": "Added", "changes": ["x"]}]) == "groups"
    assert layout("choices", choices=[1, "one"]) == "groups"


def test_a_table_names_its_columns_once_and_every_control_in_full() -> None:
    page = html(columns=COLUMNS)
    assert re.findall(r"<th scope=.col.[^>]*>(\w+)</th>", page) == ["source", "name", "load"]
    names = re.findall(r'<label class="field-cell-label" for="form-columns-\d-name">(.*?)</label>', page)
    assert [re.sub(r"<.*?>", "", name) for name in names] == ["columns 1, name", "columns 2, name"]


def test_a_long_group_is_folded_and_says_what_is_in_it_and_a_short_one_is_not() -> None:
    short = html(sections=[{"heading": "Added", "changes": ["x", "y"]}])
    assert "Added, 2 changes" in short
    assert '<details class="field-fold" open>' in short
    long = html(sections=[{"heading": "Added", "changes": ["x"] * 30}])
    assert "Added, 30 changes" in long
    assert '<details class="field-fold">' in long


def test_a_folded_group_with_an_error_in_it_is_unfolded() -> None:
    form = ModelForm(Plan, Plan.model_validate({"sections": [{"heading": "Added", "changes": ["x"] * 30}]}))
    [section] = form["sections"].rows  # type: ignore[attr-defined]
    assert not section.is_unfolded
    section.children[0].errors.append("Wrong.")
    assert section.is_unfolded
