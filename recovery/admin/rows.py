"""Fields of the admin's forms that are lists of rows, and times that people write with their unit."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recovery.rendering.policy import duration


class Rows(forms.Widget):
    """A control for each of `columns` in a row; some empty rows more than there are values."""

    def __init__(self, columns: Mapping[str, forms.Widget], *, empty_rows: int = 2) -> None:
        super().__init__()
        self.columns = dict(columns)
        self.empty_rows = empty_rows

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        rows = [*(value or []), *({} for _ in range(self.empty_rows))]
        drawn = ((self._row(name, number, row, attrs or {}),) for number, row in enumerate(rows))
        return format_html('<div class="field-rows">{}</div>', format_html_join("", "{}", drawn))

    def _row(self, name: str, number: int, row: Mapping[str, Any], attrs: Mapping[str, Any]) -> SafeString:
        controls = []
        for index, (column, widget) in enumerate(self.columns.items()):
            own = {"aria-label": f"{widget.attrs.get('aria-label', column)}, row {number + 1}"}
            if number == 0 and index == 0 and "id" in attrs:
                own["id"] = attrs["id"]
            controls.append((widget.render(f"{name}-{column}", row.get(column, ""), own),))
        return format_html('<div class="field-row">{}</div>', format_html_join("", "{}", controls))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, str]]:
        columns = [data.getlist(f"{name}-{column}") for column in self.columns]
        rows = (dict(zip(self.columns, row, strict=True)) for row in zip_longest(*columns, fillvalue=""))
        return [row for row in rows if self._is_filled(row)]

    def _is_filled(self, row: Mapping[str, str]) -> bool:
        # What a select says by itself is no entry.
        written = [row[column] for column, widget in self.columns.items() if not _always_says_something(widget)]
        return any(value.strip() for value in written)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False


def _always_says_something(widget: forms.Widget) -> bool:
    return isinstance(widget, forms.Select) and all(value for value, _ in widget.choices)


class GroupCounts(forms.Field):
    """So many people of each group: a dict of names to numbers."""

    def __init__(self, **options: Any) -> None:
        self.select = forms.Select(attrs={"aria-label": "Group"})
        number = forms.NumberInput(attrs={"min": 1, "aria-label": "How many", "class": "vIntegerField"})
        super().__init__(widget=Rows({"group": self.select, "needed": number}), required=False, **options)

    def choose_from(self, names: Sequence[str]) -> None:
        self.select.choices = [("", "–"), *((name, name) for name in names)]

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return [{"group": group, "needed": needed} for group, needed in sorted(value.items())]
        return value

    def to_python(self, value: Any) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in value or []:
            group, needed = row["group"], row["needed"].strip()
            if not group or group not in {name for name, _ in self.select.choices}:
                raise forms.ValidationError("Choose a group for each number.")
            if not needed.isascii() or not needed.isdigit() or not 1 <= int(needed[:9]) <= 1000:
                raise forms.ValidationError(f"How many of {group}: a number from 1 to 1000.")
            if group in counts:
                raise forms.ValidationError(f"{group} is there twice.")
            counts[group] = int(needed)
        return counts

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial or {}) != data)


class Duration(forms.CharField):
    """Seconds, written as `90 s`, `15 min`, `2 h`, `3 d` or `1 d 12 h`."""

    _UNITS = {"s": 1, "min": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
    _WRITTEN = re.compile(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]*)\s*", re.ASCII)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int | float):
            return value
        exact = duration(value)
        return exact if self.to_python(exact) == value else f"{value:g} s"

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        total_s, end = 0.0, 0
        while end < len(text):
            found = self._WRITTEN.match(text, end)
            if found is None or found[2] not in self._UNITS:
                raise forms.ValidationError("Write it with its unit: 90 s, 15 min, 2 h, 3 d.")
            total_s, end = total_s + float(found[1]) * self._UNITS[found[2]], found.end()
        return total_s
