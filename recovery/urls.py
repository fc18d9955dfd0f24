"""Addresses of the app."""

from django.http import Http404, HttpRequest, HttpResponse  # noqa: TID251
from django.urls import URLPattern, URLResolver, path

from recovery.views import inbox, requests

app_name = "recovery"


def soon(request: HttpRequest, **parts: str) -> HttpResponse:
    raise Http404("this page is not there yet")


urlpatterns: list[URLPattern | URLResolver] = [
    path("", inbox.inbox, name="inbox"),
    path("inbox/new/", inbox.inbox_news, name="inbox_news"),
    path("next/", inbox.next_request, name="next"),
    path("requests/<uuid:pk>/", requests.show_request, name="request"),
    path("requests/<uuid:pk>/decide/", requests.decide_request, name="decide"),
    path("requests/<uuid:pk>/progress/", requests.show_progress, name="progress"),
    path("states/", soon, name="states"),
    path("states/<uuid:pk>/", soon, name="state"),
    path("states/<uuid:pk>/retry/", requests.retry_run, name="retry"),
    path("states/<uuid:pk>/artifacts/<str:artifact_id>/", soon, name="artifact"),
    path("compare/", soon, name="compare"),
    path("pipelines/", soon, name="pipelines"),
    path("pipelines/<path:name>/", soon, name="pipeline"),
]
