"""Every address of the project."""

from django.contrib import admin
from django.contrib.auth import views
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from recovery.api import api
from rhdashboard.sign_in import SignInForm, admin_sign_in

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/login/", admin_sign_in),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("api/docs", RedirectView.as_view(pattern_name="api:openapi-view")),
    path("accounts/login/", views.LoginView.as_view(authentication_form=SignInForm), name="login"),
    path("accounts/logout/", views.LogoutView.as_view(), name="logout"),
    path("accounts/password_change/", views.PasswordChangeView.as_view(), name="password_change"),
    path("accounts/password_change/done/", views.PasswordChangeDoneView.as_view(), name="password_change_done"),
    path("", include("recovery.urls")),
]
