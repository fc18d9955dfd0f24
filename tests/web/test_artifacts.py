"""Artifacts of a state: previewed as text only, downloaded as files that no browser runs, honest about damage."""

from pathlib import Path

import pytest
from django.conf import settings

from recovery.backends import DjangoArtifactBackend
from recovery.models import Artifact, ArtifactRef, Event, StorageEntry
from tests.web.pages import read
from tests.web.runs import Told

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(document.cookie)</script>"


@pytest.fixture
def browser(ada, signed_in):
    return signed_in(ada)


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    storage = {**settings.STORAGES["artifacts"], "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "artifacts": storage}


def kept(key, value, **more):
    """A run that keeps one artifact: the run, and the address of the artifact."""
    told = Told().step("make::tool_call", 0, 1, artifacts={key: value}, **more).save(1, "completed")
    return told, f"{told.url}artifacts/{told.state.artifact_refs.get().artifact_id}/"


def download_of(page_url):
    return page_url + "download/"


def content(response):
    return b"".join(response.streaming_content)


# ---- The list ----


def test_the_tab_lists_each_artifact_with_type_size_and_writer(browser):
    told, url = kept("ledger.csv", "date,amount\n2026-11-12,-60.00\n")
    panel = read(browser.get(f"{told.url}?tab=artifacts")).one("section", aria_label="Artifacts")
    [item] = panel.all("details", class_="evidence-item")
    assert item.one("summary").text == "ledger.csv text/csv, 30 B"
    links = {link.text.split(":")[0]: link.attrs for link in item.all("a")}
    assert links["Show it here"]["hx-get"] == links["Show it here"]["href"] == f"{url}?key=ledger.csv"
    assert links["Download ledger.csv"]["href"] == f"{download_of(url)}?key=ledger.csv"
    assert links["make"]["href"].startswith(f"{told.url}?step=make")


def test_a_preview_in_place_is_the_preview_alone(browser, htmx):
    _, url = kept("ledger.csv", "date,amount\n2026-11-12,-60.00\n")
    part = read(browser.get(url, headers=htmx))
    assert not part.all("h1")
    assert [cell.text for cell in part.all("td")] == ["2026-11-12", "-60.00"]
    assert "1 row, 30 B" in part.text


def test_without_scripts_the_same_link_is_a_page(browser):
    _, url = kept("notes.md", "# Notes\n\n**Bold** <b>not</b>")
    page = read(browser.get(url))
    assert page.one("h1").text == "notes.md"
    assert page.one("div", class_="prose").one("strong").text == "Bold"


@pytest.mark.parametrize(
    "key", ["a/b/../c.txt", "../../etc/passwd", "%2e%2e", "a b?c#d", "ключ.csv", "x" * 300, "\"'<>&"]
)
def test_whatever_the_key_its_artifact_can_be_seen_and_downloaded(browser, key):
    told, _ = kept(key, "content")
    page = read(browser.get(f"{told.url}?tab=artifacts"))
    [show] = [link for link in page.all("a") if link.text.startswith("Show it here")]
    assert read(browser.get(show.attrs["href"])).one("h1").text == key
    [download] = [link for link in page.all("a") if link.text.startswith("Download")]
    answer = browser.get(download.attrs["href"])
    assert content(answer) == b"content"
    assert "/" not in answer.headers["Content-Disposition"].partition("filename")[2].replace("utf-8''", "").replace(
        "%2F", "/"
    )


# ---- Downloads ----


@pytest.mark.parametrize(
    ("key", "value", "content_type"),
    [
        ("page.html", HOSTILE, "application/octet-stream"),
        ("picture.svg", f"<svg xmlns='http://www.w3.org/2000/svg'>{HOSTILE}</svg>", "application/octet-stream"),
        ("program.js", "alert(1)", "application/octet-stream"),
        ("feed.xml", "<?xml version='1.0'?><a/>", "application/octet-stream"),
        ("plain.txt", HOSTILE, "text/plain"),
        ("table.csv", "a,b\n", "text/csv"),
        ("data.bin", b"\x00\x01", "application/octet-stream"),
        ("picture.png", b"\x89PNG\r\n\x1a\n", "image/png"),
    ],
)
def test_a_download_is_a_file_and_never_a_page(browser, key, value, content_type):
    _, url = kept(key, value)
    answer = browser.get(download_of(url))
    assert content(answer) == (value if isinstance(value, bytes) else value.encode())
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{key}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Length"] == str(len(value))
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\r\nSet-Cookie: x=1", "a_Set-Cookie_ x=1.txt"),
        ('a"; filename="b.exe', "a_; filename=_b.exe"),
        ("invoice\u202egpj.exe", "invoice_gpj.exe"),
        ("a\u2028b\u200f", "a_b_.txt"),
        ("x" * 900, "x" * 120 + ".txt"),
        ("...", "artifact.txt"),
    ],
)
def test_a_file_name_is_no_way_into_anything(browser, key, name):
    _, url = kept(key, "text")
    header = browser.get(download_of(url)).headers["Content-Disposition"]
    assert header == f'attachment; filename="{name}"'


def test_active_content_is_shown_as_text(browser):
    _, url = kept("page.html", HOSTILE)
    page = read(browser.get(url))
    assert page.one("pre", class_="text-preview").text == HOSTILE
    assert all("src" in script.attrs for script in page.all("script"))
    assert "script-src 'self'" in browser.get(url).headers["Content-Security-Policy"]


def test_a_large_artifact_is_downloaded_whole_and_previewed_in_part(browser):
    lines = "".join(f"{n},{n * n}\n" for n in range(40_000))
    _, url = kept("big.csv", "n,square\n" + lines)
    assert "200 of 40,000 rows" in read(browser.get(url)).text
    assert content(browser.get(download_of(url))) == ("n,square\n" + lines).encode()


def test_a_value_is_downloaded_as_json(browser):
    _, url = kept("order", {"lines": [1, 2]})
    answer = browser.get(download_of(url))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="order.json"'
    assert content(answer) == b'{"lines":[1,2]}'


# ---- Only its own, and every version of them ----


def test_an_artifact_is_only_found_at_states_that_refer_to_it(browser):
    _, url = kept("secret.txt", "secret")
    other, _ = kept("other.txt", "other")
    artifact_id = url.rstrip("/").rpartition("/")[2]
    assert browser.get(f"{other.url}artifacts/{artifact_id}/").status_code == 404
    assert browser.get(f"{other.url}artifacts/{artifact_id}/download/").status_code == 404
    for nobodys in ("nothing", "%00", "a%00b"):
        assert browser.get(f"{other.url}artifacts/{nobodys}/").status_code == 404
        assert browser.get(f"{other.url}artifacts/{nobodys}/download/").status_code == 404


def test_an_earlier_version_can_still_be_seen(browser):
    told = Told().step("make::tool_call", 0, 1, artifacts={"a.txt": "first"}).save(1)
    first = told.state.artifact_refs.get().artifact_id
    told.step("mend::tool_call", 1, 1, artifacts={"a.txt": "second"}).save(2)
    assert read(browser.get(f"{told.url}artifacts/{first}/")).one("pre", class_="text-preview").text == "first"
    then = read(browser.get(f"{told.url}?tab=artifacts&checkpoint=1"))
    assert [link for link in then.all("a") if first in link.attrs["href"]]


def test_one_content_under_two_keys_goes_by_the_key_that_is_asked_for(browser):
    told = Told().step("make::tool_call", 0, 1, artifacts={"a.txt": "same", "b.txt": "same"}).save(1)
    url = f"{told.url}artifacts/{told.state.artifact_refs.first().artifact_id}/"
    for key in ("a.txt", "b.txt"):
        assert read(browser.get(url, {"key": key})).one("h1").text == key
    assert read(browser.get(url, {"key": "nobody\x00"})).one("h1").text in ("a.txt", "b.txt")


def test_results_and_values_that_were_too_large_for_a_row_are_artifacts_too(browser):
    told = Told().step("make::tool_call", 0, 1, result=1, storage={"k": 1}).save(1, "completed")
    DjangoArtifactBackend().save_encoded("large", "json", b'["' + b"x" * 90_000 + b'"]', "application/json")
    reference = '{"$t":"artifact","v":"large"}'
    Event.objects.filter(state_id=told.state_id).update(result=reference, result_artifact="large")
    StorageEntry.objects.filter(state_id=told.state_id).update(text=reference, artifact="large")
    step = Event.objects.get(state_id=told.state_id)
    page = read(browser.get(f"{told.url}steps/{step.position}/"))
    assert "90,000 characters" in page.one("section", aria_label="Record").text
    [download] = [link for link in page.all("a") if link.text == "Download it whole"]
    assert len(content(browser.get(download.attrs["href"]))) == 90_004
    entry = told.state.storage_entries.get()
    assert "90,000 characters" in read(browser.get(f"{told.url}storage/{entry.pk}/")).text


# ---- Damage ----


def broken_words(page):
    [notice] = [one for one in page.all("div", class_="notice-warn") if "hidden" not in one.attrs]
    return notice.text


def test_an_artifact_whose_file_is_gone_says_so_and_cannot_be_downloaded(browser, tmp_path):
    _, url = kept("big.txt", "word " * 5_000)
    [file] = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    file.unlink()
    page = read(browser.get(url))
    assert broken_words(page) == "This cannot be shown: its file is gone from the storage."
    assert not [link for link in page.all("a") if link.text == "Download"]
    answer = browser.get(download_of(url))
    assert answer.status_code == 404
    assert broken_words(read(answer)) == "This cannot be shown: its file is gone from the storage."


@pytest.mark.parametrize("damaged", [b"other text", b"", b"content!"])
def test_an_artifact_whose_bytes_changed_is_shown_as_broken(browser, damaged):
    _, url = kept("a.txt", "content")
    Artifact.objects.update(inline=damaged)
    assert broken_words(read(browser.get(url))) == "This cannot be shown: its bytes are not those that were saved."


@pytest.mark.parametrize("left", [0, 20_000, 30_000])
def test_a_file_that_is_not_as_long_as_it_was_saved_is_not_begun_to_be_sent(browser, tmp_path, left):
    _, url = kept("big.txt", "word " * 5_000)
    [file] = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    file.write_bytes(b"x" * left)
    answer = browser.get(download_of(url))
    assert (answer.status_code, answer.streaming) == (404, False)
    assert broken_words(read(answer)) == "This cannot be shown: its bytes are not those that were saved."


def test_an_artifact_that_is_not_kept_here_says_so(browser):
    told, url = kept("a.txt", "content")
    Artifact.objects.all().delete()
    assert broken_words(read(browser.get(url))) == "This cannot be shown: it is not kept here any more, or never was."
    assert browser.get(download_of(url)).status_code == 404
    assert len(read(browser.get(f"{told.url}?tab=artifacts")).all("details", class_="evidence-item")) == 1


@pytest.mark.parametrize(
    ("codec", "payload", "says"),
    [
        ("json", b"{not json", "This cannot be shown: the text is no JSON"),
        ("text", b"\xff\xfe\x00", "This cannot be shown: it is not utf-16 text"),
        ("pickle", b"cposix\nsystem\n(S'true'\ntR.", "There is no preview of this type."),
        ("unknown", b"abc", "There is no preview of this type."),
    ],
)
def test_an_artifact_that_cannot_be_decoded_is_shown_as_such(browser, codec, payload, says):
    told, _ = kept("a.txt", "content")
    media_type = {"json": "application/json", "text": "text/plain"}.get(codec, "application/octet-stream")
    DjangoArtifactBackend().save_encoded("odd", codec, payload, media_type)
    ArtifactRef.objects.update(artifact_id="odd", media_type=media_type)
    page = browser.get(f"{told.url}artifacts/odd/")
    assert page.status_code == 200
    assert says in read(page).one("section", aria_label="Content").text
    assert content(browser.get(f"{told.url}artifacts/odd/download/")) == payload


def test_the_settings_of_the_tests_keep_small_artifacts_in_their_row():
    assert settings.RECOVERY["ARTIFACT_INLINE_BYTES"] < 25_000
