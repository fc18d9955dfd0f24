"""Every text that people read can be translated, and German is whole: proof that no sentence is nailed to English."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from django.utils.translation import trans_real
from django.utils.translation.template import templatize

from recovery import pipelines
from tests.browser.every_page import one_of_everything
from tests.web.pages import Element, read
from tests.web.waiting import ask

ROOT = Path(settings.BASE_DIR)
PO = ROOT / "locale" / "de" / "LC_MESSAGES" / "django.po"
MARKS = {"gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "_"}
PLACE = re.compile(r"%\(\w+\)s|\{\w*\}|</?\w+>")


def marked_in_python() -> Iterator[str]:
    for path in [*(ROOT / "recovery").rglob("*.py"), *(ROOT / "rhdashboard").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_mark = isinstance(node, ast.Call) and getattr(node.func, "id", "") in MARKS and node.args
            if is_mark and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def marked_in_templates() -> Iterator[str]:
    for path in (ROOT / "templates").rglob("*.html"):
        for text in re.findall(r" n?gettext\((u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\")", _as_calls(path)):
            yield ast.literal_eval(text)


def _as_calls(path: Path) -> str:
    # Texts in the arguments of a tag come out as `_("...")`.
    return re.sub(r" _\(", " gettext(", templatize(path.read_text(encoding="utf-8"), origin=str(path)))


def entries(path: Path) -> dict[str, list[str]]:
    """Text to its translations, one or one for each number, of a catalogue as translators write it."""
    found: dict[str, list[str]] = {}
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        assert "fuzzy" not in block, block
        parts = re.findall(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?) ((?:"(?:[^"\\]|\\.)*"\s*)+)$', block, re.M)
        texts = [(name, "".join(ast.literal_eval(line) for line in lines.splitlines())) for name, lines in parts]
        if texts:
            found[texts[0][1]] = [text for name, text in texts if name.startswith("msgstr")]
    return found


@pytest.fixture(scope="module")
def german() -> dict[str, list[str]]:
    return entries(PO)


def test_every_marked_text_is_in_the_catalogue(german):
    marked = {*marked_in_python(), *marked_in_templates()}
    assert len(marked) > 900
    assert sorted(marked - {*german}) == []
    assert sorted({*german} - marked - {""}) == []


def test_every_text_of_the_catalogue_is_translated_with_the_same_places_in_it(german):
    for text, translations in german.items():
        assert all(translations), text
        # Of several, the one for a single thing may do without its number.
        assert set(PLACE.findall(translations[-1])) == set(PLACE.findall(text)), text


def test_what_is_compiled_is_what_is_written(german):
    with PO.with_suffix(".mo").open("rb") as file:
        compiled: Any = gettext.GNUTranslations(file)._catalog
    as_written = {
        (text, number) if len(translations) > 1 else text: translation
        for text, translations in german.items()
        for number, translation in enumerate(translations)
        if text
    }
    assert {key: value for key, value in compiled.items() if key} == as_written


# ---- Whole pages ----


class Bracketed(trans_real.DjangoTranslation):
    """Puts each translated text into brackets, so that one which is not translated can be seen."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧" if message else message

    def ngettext(self, one: str, many: str, number: int) -> str:
        return f"⟦{one if number == 1 else many}⟧"


@pytest.fixture
def in_brackets(monkeypatch, settings):
    code = "de"
    monkeypatch.setitem(trans_real._translations, code, Bracketed(code))
    settings.LANGUAGE_CODE = code


# Values and names: of programs, of data, of this product.
NO_TEXT = {"code", "pre", "kbd", "svg", "script", "style", "option"}
UNITS = re.compile(
    r"\b(\d+([.,]\d+)?\s?(ms|s|min|h|d|w|B|KB|MB)|UTC|JST|CET|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
)
# What the page was asked for is data too, as the name of a type is.
OURS = ("rhdashboard", "English", "Deutsch", "nothing", "dict")


def texts_without_brackets(element: Element, inside: bool = False) -> Iterator[str]:
    """Texts, and what stands in the attributes that are read out, which no translation made."""
    if element.tag in NO_TEXT or "mono" in element.attrs.get("class", "").split():
        return
    for name in ("aria-label", "placeholder", "alt", "title"):
        yield from _outside(element.attrs.get(name, ""))
    depth = 0
    for child in element.children:
        if isinstance(child, Element):
            yield from texts_without_brackets(child) if not depth else ()
            continue
        if not depth:
            yield from _outside(child)
        depth += child.count("⟦") - child.count("⟧")


def _outside(text: str) -> Iterator[str]:
    while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", " ", text)) != text:
        text = shorter
    # An opening or closing bracket may stand in another element.
    text = re.sub(r"⟦.*|^.*⟧", " ", text, flags=re.S)
    yield from (
        part.strip() for part in re.split(r"[\n,;:()]", UNITS.sub(" ", text)) if re.search(r"[A-Za-z]{2}", part)
    )


def is_data(text: str, data: str) -> bool:
    # A short id, or the number of a row, may stand behind a name.
    text = re.sub(r"\b[0-9a-f]{8}\b|\b\d+$", "", text.removesuffix("– rhdashboard")).strip()
    return text.lower() in data or text in OURS


def everything_in_the_database() -> str:
    """All texts that are data: what they say is nobody's to translate."""
    found = []
    for model in apps.get_models():
        names = [field.attname for field in model._meta.concrete_fields if not isinstance(field, models.BooleanField)]
        for row in model._default_manager.values_list(*names)[:500]:
            found += [str(value) for value in row]
    found += [user.get_full_name() for user in get_user_model().objects.all()]
    found += [f"{one.name} {one.title} {one.description}" for one in pipelines.all_pipelines()]
    return "\n".join(found).lower()


def test_no_page_shows_a_text_that_cannot_be_translated(db, in_brackets, grace, signed_in):
    ada = get_user_model().objects.create_superuser("ada", password="pw", first_name="Ada", last_name="Lovelace")
    pages = one_of_everything(ada, grace)
    ask("Another one")
    data = everything_in_the_database()
    browser = signed_in(ada)
    found: dict[str, list[str]] = {}
    for name, address in pages.items():
        if name.startswith("admin") or "/fails/" in address:
            continue
        page = read(browser.get(address))
        left = [text for text in texts_without_brackets(page) if not is_data(text, data)]
        if left:
            found[name] = left
    assert found == {}, "\n".join(sorted({text for texts in found.values() for text in texts}))
