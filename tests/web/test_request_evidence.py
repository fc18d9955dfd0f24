"""Evidence beside a question: looked at closer without leaving the page, and harmless whatever it holds."""

import json
import struct

import pytest

from recovery.backends import DjangoArtifactBackend
from recovery.models import Artifact, Event
from rh_agents.core.serialization import artifact_id, encode_artifact
from tests.web.pages import read
from tests.web.request_pages import look, panel

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480)


def shows(request, **contents):
    """The request with these artifacts beside it instead of its own; a value is (content, media type)."""
    written, names = {}, []
    for place, (content, media_type) in enumerate(contents.values()):
        name = [*contents][place].replace("__", ".")
        encoded = encode_artifact(content, key=name)
        DjangoArtifactBackend().save_encoded(artifact_id(encoded), *encoded)
        written[name] = [place, artifact_id(encoded), media_type, len(encoded.payload)]
        names.append(name)
    Event.objects.filter(state=request.state, status="awaiting").update(wrote=json.dumps({"artifacts": written}))
    question = json.loads(request.question)
    request.question = request.question.replace('"events.csv"', ", ".join(f'"{name}"' for name in names))
    assert names and all(name in request.question for name in names), question
    request.save()
    for row in Artifact.objects.exclude(refs__isnull=False):
        request.state.artifact_refs.create(
            key=next(key for key, one in written.items() if one[1] == row.pk),
            artifact=row,
            media_type=next(one[2] for one in written.values() if one[1] == row.pk),
            seq=1,
            added_in=request.checkpoint,
        )
    return request


def exhibits(client, request):
    return panel(look(client, request), "Evidence").all("details", class_="evidence-item")


def first_column(part):
    return [row.all("td")[0].text for row in part.one("tbody").all("tr")]


def test_a_table_is_sorted_by_the_links_of_its_columns_and_goes_on(refund, ada_at, htmx):
    rows = "n,square\n" + "".join(f"{n},{(n - 150) ** 2}\n" for n in range(300))
    [item] = exhibits(ada_at, shows(refund, squares__csv=(rows, "text/csv")))
    assert len(first_column(item)) == 50
    by_square = item.one("thead").all("a")[1]
    part = read(ada_at.get(by_square.attrs["hx-get"], headers=htmx))
    assert first_column(part)[:3] == ["150", "149", "151"]
    assert part.one("th", aria_sort="ascending").text == "square"
    back = read(ada_at.get(part.one("thead").all("a")[1].attrs["href"]))
    assert back.one("th", aria_sort="descending").text == "square"
    assert first_column(back)[0] == "0"
    more = next(link for link in item.all("a") if link.text == "More rows")
    assert len(first_column(read(ada_at.get(more.attrs["hx-get"], headers=htmx)))) == 200


@pytest.mark.parametrize(
    "query", ["sort=x", "sort=99", "rows=0", "rows=99999999", "at=1.2.3.x", "from=-1", "find=", "at=" + "1." * 500]
)
def test_an_address_that_means_nothing_shows_the_artifact_as_it_is(refund, ada_at, query):
    [item] = exhibits(ada_at, shows(refund, a__csv=("n\n1\n2\n", "text/csv")))
    link = next(link for link in item.all("a") if link.text.startswith("Open"))
    assert first_column(read(ada_at.get(f"{link.attrs['href']}&{query}"))) == ["1", "2"]


def test_a_long_tree_goes_on_in_place_and_is_searched(refund, ada_at, htmx):
    value = {"rows": [{"sku": f"A-{n}"} for n in range(250)]}
    [item] = exhibits(ada_at, shows(refund, data=(value, "application/json")))
    link = item.one("li", class_="json-more").one("a")
    rows = read(ada_at.get(link.attrs["hx-get"], headers=htmx))
    assert next(child.tag for child in rows.children if not isinstance(child, str)) == "li"
    assert '"A-100"' in rows.text and '"A-199"' in rows.text and '"A-99"' not in rows.text
    form = item.one("form", class_="json-find")
    found = read(ada_at.get(form.attrs["action"], {"find": "a-249"}, headers=htmx))
    assert "1 place." in found.text and '"A-249"' in found.text and '"A-1"' not in found.text
    assert "Nothing of that name" in read(ada_at.get(form.attrs["action"], {"find": "zzz"}, headers=htmx)).text


def test_a_picture_is_shown_and_zoomed_and_a_pdf_is_a_link(refund, ada_at):
    picture, document = exhibits(
        ada_at, shows(refund, photo__png=(PNG, "image/png"), invoice__pdf=(b"%PDF-1.7", "application/pdf"))
    )
    image = picture.one("summary", aria_label="photo.png in its own size").one("img")
    assert (image.attrs["alt"], image.attrs["width"], image.attrs["height"]) == ("photo.png", "640", "480")
    sent = ada_at.get(image.attrs["src"])
    assert b"".join(sent.streaming_content) == PNG
    assert (sent["Content-Type"], sent["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert sent["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert sent["Content-Disposition"].startswith("attachment")
    assert "It can be downloaded." in document.text
    assert ada_at.get(document.all("a")[-1].attrs["href"])["Content-Type"] == "application/pdf"


def test_code_has_classes_and_no_styles(refund, ada_at):
    [item] = exhibits(ada_at, shows(refund, patch__py=("def f():\n    return '<script>'\n", "text/plain")))
    assert [word.text for word in item.all("span", class_="hl-k")] == ["def", "return"]
    assert not item.all("script") and not [one for one in item.all() if "style" in one.attrs]


def test_what_is_large_and_folded_comes_when_it_is_opened(refund, ada_at, htmx):
    text = "line\n" * 40_000
    _, later = exhibits(ada_at, shows(refund, a__txt=("short", "text/plain"), b__txt=(text, "text/plain")))
    assert "line" not in later.one("div", class_="evidence-body").text
    trigger = later.one("a", hx_trigger=f"click, toggle from:#{later.attrs['id']} once")
    assert "line line" in read(ada_at.get(trigger.attrs["hx-get"], headers=htmx)).text


def test_fifty_megabytes_are_never_read_into_a_page(refund, ada_at, monkeypatch, tmp_path, settings):
    shows(refund, big__txt=("x" * 50_000_000, "text/plain"))
    read_bytes = []
    whole = Artifact.read
    monkeypatch.setattr(Artifact, "read", lambda self, at_most=None: read_bytes.append(at_most) or whole(self, at_most))
    answer = ada_at.get(f"/requests/{refund.pk}/")
    assert len(answer.content) < 120_000
    assert read_bytes == [131_072]


def test_what_is_found_deep_inside_can_be_shown(refund, ada_at, htmx):
    value = "needle"
    for _ in range(60):
        value = {"in": value}
    deep = {"a": value, "b": {"c": {"d": "needle too"}}}
    for _ in range(20):
        deep = {"in": deep}
    [item] = exhibits(ada_at, shows(refund, deep=(deep, "application/json")))
    form = item.one("form", class_="json-find")
    found = read(ada_at.get(form.attrs["action"], {"find": "needle"}, headers=htmx))
    assert '"needle too"' in found.text


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 20_000, b"9" * 100_000, b'{"$t":"model","c":"os:system","v":' * 2000]
)
def test_a_document_that_is_made_to_break_its_reader_is_shown_as_broken(refund, ada_at, content):
    [item] = exhibits(ada_at, shows(refund, a=(content, "application/json")))
    assert "This cannot be shown" in item.text
