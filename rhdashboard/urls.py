"""Every address of the project."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.utils.module_loading import import_string
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/docs", RedirectView.as_view(pattern_name="api:openapi-view")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("", include("recovery.urls")),
]

if find_spec("recovery.api"):
    urlpatterns.insert(0, path("api/v1/", import_string("recovery.api.api").urls))
