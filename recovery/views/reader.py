"""The settings of a person: how they read the dashboard, and which mails they want."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import override
from django.views.decorators.http import require_http_methods, require_POST

from recovery import pipelines
from recovery.languages import lazy as _
from recovery.middleware import keep_theme
from recovery.models import Reader
from recovery.services import notify, readers
from recovery.views.parts import PageRequest

MAILS = {
    notify.REMINDER: _("Something that I may decide still waits"),
    notify.ESCALATION: _("Something is escalated to me"),
    notify.HANDED_ON: _("Somebody hands a request on to me"),
    notify.HANDED_OVER: _("Somebody lets me decide for them for a time"),
}


class _Select(forms.Select):
    def __init__(self) -> None:
        super().__init__(attrs={"class": "input"})


class SettingsForm(forms.Form):
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, widget=_Select())
    language = forms.ChoiceField(label=_("Language"), required=False, widget=_Select())
    theme = forms.ChoiceField(label=_("Theme"), choices=Reader.Theme, widget=forms.RadioSelect())
    density = forms.ChoiceField(label=_("Density"), choices=Reader.Density, widget=forms.RadioSelect())
    has_shortcuts = forms.BooleanField(label=_("Single keys act on what is selected"), required=False)
    mails = forms.MultipleChoiceField(
        label=_("Mails"), choices=list(MAILS.items()), required=False, widget=forms.CheckboxSelectMultiple()
    )
    pipelines = forms.MultipleChoiceField(label=_("Pipelines"), required=False, widget=forms.CheckboxSelectMultiple())

    def __init__(self, reader: Reader, data: Any = None) -> None:
        wanted = [name for name in MAILS if name not in reader.unwanted_mails]
        initial = {name: getattr(reader, name) for name in readers.FIELDS if name != "unwanted_mails"}
        super().__init__(data, initial={**initial, "mails": wanted}, label_suffix="")
        fields = cast(dict[str, Any], self.fields)
        fields["time_zone"].choices = _zones(reader.time_zone)
        fields["language"].choices = [("", _("As the browser says")), *settings.LANGUAGES]
        known = {one.name: one.title for one in pipelines.all_pipelines()}
        # One that is not installed just now is still theirs to tick off.
        known |= {name: name for name in reader.pipelines if name not in known}
        fields["pipelines"].choices = sorted(known.items(), key=lambda item: item[1].casefold())

    @property
    def said(self) -> dict[str, Any]:
        said = dict(self.cleaned_data)
        mails = said.pop("mails")
        said["unwanted_mails"] = [name for name in MAILS if name not in mails]
        # All of them are as good as none: the next one that is installed belongs to "all".
        if len(said["pipelines"]) == len(cast(Any, self.fields["pipelines"]).choices):
            said["pipelines"] = []
        return said


def _zones(chosen: str) -> list[Any]:
    groups: list[Any] = [("", _("As the server (%(zone)s)") % {"zone": settings.TIME_ZONE})]
    for area, names in readers.zone_names().items():
        shown = [(name, name.partition("/")[2].replace("_", " ") or name) for name in names]
        groups += [(area, shown)] if area else shown
    return groups if not chosen or readers.is_zone(chosen) else [*groups, (chosen, chosen)]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_settings(request: PageRequest) -> HttpResponse:
    """The page; a POST saves."""
    reader = Reader.of(request.user)
    if request.method != "POST":
        return _page(request, SettingsForm(reader))
    form = SettingsForm(reader, request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    reader = readers.save(request.user, form.said)
    # Said in the language that they chose, and shown at once as they like it.
    with override(reader.language or None):
        messages.success(request, _("Your settings are saved."))
    response = redirect("recovery:settings")
    keep_theme(response, reader.theme)
    _keep_language(response, reader.language)
    return response


@login_required
@require_POST
def answer_zone(request: PageRequest) -> HttpResponse:
    """What somebody answers to the offer of the zone that their browser is in."""
    zone = request.POST.get("time_zone", "")
    if readers.is_zone(zone):
        readers.save(request.user, {"time_zone": zone})
    else:
        messages.error(request, _("That time zone is unknown here. You can choose one in the settings."))
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    return redirect(back if is_ours else "recovery:settings")


def _page(request: PageRequest, form: SettingsForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "mails_are_on": notify.is_on()}
    response = render(request, "recovery/settings.html", context, status=status)
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _keep_language(response: HttpResponse, language: str) -> None:
    """For the pages before somebody has signed in."""
    if not language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=365 * 24 * 3600,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
