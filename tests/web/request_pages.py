"""The page of a request, as a reviewer uses it: look, fill in, send."""

from django.test import Client

from recovery.models import ApprovalRequest, Decision, ProposalVersion, Resolution, Resumption
from tests.web.pages import Element, entered_in, read


def look(client: Client, request: ApprovalRequest) -> Element:
    page = client.get(f"/requests/{request.pk}/")
    assert page.status_code == 200
    return read(page)


def form_in(page: Element, form_id: str = "approve-form") -> dict[str, str]:
    """What its button sends: the form, and the fields elsewhere that belong to it."""
    form = page.one("form", id=form_id)
    elsewhere = Element("", {}, children=[one for one in page.all() if one.attrs.get("form") == form_id])
    return entered_in(elsewhere) | entered_in(form)


def post(client: Client, request: ApprovalRequest, data: dict[str, str], **options):
    return client.post(f"/requests/{request.pk}/decide/", data, **options)


def panel(page: Element, heading: str) -> Element:
    return next(one for one in page.all("section") if [two for two in one.all("h2") if two.text == heading])


def notices(page: Element) -> list[str]:
    return [one.text for one in page.all("div", class_="notice") if "hidden" not in one.attrs]


def written() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Decision, Resolution, Resumption, ProposalVersion))
