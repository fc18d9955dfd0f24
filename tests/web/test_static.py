"""What is served from us: the files of other projects unchanged, and nothing that asks another host."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = Path(settings.BASE_DIR) / "templates"
VENDORED = re.findall(
    r"\| `([^`]+)` \|[^|]+\|[^|]+\| `(sha384-[^`]+)` \|", (STATIC / "vendor" / "VENDORED.md").read_text()
)


def sha384(path: Path) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()


@pytest.mark.parametrize(("name", "expected"), VENDORED)
def test_a_vendored_file_is_the_one_that_is_written_down(name: str, expected: str) -> None:
    assert sha384(STATIC / "vendor" / name) == expected


def test_every_vendored_file_is_written_down_and_has_its_licence() -> None:
    files = {path for path in (STATIC / "vendor").rglob("*") if path.is_file() and path.name != "VENDORED.md"}
    assert {path for path in files if path.name != "LICENSE"} == {STATIC / "vendor" / name for name, _ in VENDORED}
    assert all((path.parent / "LICENSE").is_file() for path in files)


def test_the_page_asks_for_exactly_the_htmx_that_is_here() -> None:
    base = (TEMPLATES / "base.html").read_text()
    assert f'integrity="{sha384(STATIC / "vendor" / "htmx" / "htmx.min.js")}"' in base


def test_no_stylesheet_or_script_of_ours_names_another_host() -> None:
    for path in [*(STATIC / "css").glob("*.css"), *(STATIC / "js").glob("*.js")]:
        assert not re.search(r"https?://|@import|url\((?!\"\.\./)", path.read_text()), path


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_has_a_script_or_style_of_its_own(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|js:", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_every_file_that_a_stylesheet_names_exists() -> None:
    for path in (STATIC / "css").glob("*.css"):
        for name in re.findall(r'url\("([^"]+)"\)', path.read_text()):
            assert (path.parent / name).is_file(), name
