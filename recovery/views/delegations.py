"""Delegations for a time: what somebody handed over or took on, and a form to hand over."""

from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from recovery import pipelines
from recovery.errors import InvalidInput
from recovery.languages import lazy as _
from recovery.models import Delegation
from recovery.services import delegations
from recovery.services.delegations import LONGEST_REASON, NotRevocable
from recovery.views.parts import PageRequest

ROWS_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Row:
    it: Delegation
    standing: str
    pipeline: str


class Person(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        full = obj.get_full_name()
        return f"{full} ({obj.get_username()})" if full else obj.get_username()


class _Minutes(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"class": "input"}, format="%Y-%m-%dT%H:%M")


class GiveForm(forms.Form):
    taker = Person(
        queryset=None, label=_("Person"), empty_label=_("Choose"), widget=forms.Select(attrs={"class": "input"})
    )
    pipeline = forms.ChoiceField(required=False, widget=forms.Select(attrs={"class": "input"}))
    starts_at = forms.DateTimeField(label=_("From"), widget=_Minutes())
    ends_at = forms.DateTimeField(label=_("Until"), widget=_Minutes())
    reason = forms.CharField(
        required=False,
        label=_("Reason (optional)"),
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"class": "input"}),
        help_text=_("Shown to whoever takes over."),
    )

    def __init__(self, giver: Any, data: Any = None) -> None:
        now = timezone.localtime().replace(second=0, microsecond=0)
        super().__init__(data, prefix=None, initial={"starts_at": now}, label_suffix="")
        self.giver = giver
        names = [(one.name, one.title) for one in pipelines.all_pipelines()]
        fields = cast(dict[str, Any], self.fields)
        fields["taker"].queryset = delegations.takers_for(giver)
        zone = timezone.get_current_timezone_name()
        fields["ends_at"].help_text = gettext("At most a year. Times are those of %(zone)s.") % {"zone": zone}
        fields["pipeline"].choices = [("", gettext("All pipelines")), *names]

    def give(self) -> bool:
        """Whether it was given; else the form says why not."""
        if not self.is_valid():
            return False
        try:
            delegations.give(giver=self.giver, **self.cleaned_data)
        except InvalidInput as invalid:
            for name, words in invalid.errors.items():
                self.add_error(name or None, words)
            return False
        return True


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_delegations(request: PageRequest) -> HttpResponse:
    """The page; a POST hands over."""
    reason = delegations.why_not_give(request.user)
    if request.method != "POST":
        return _page(request, GiveForm(request.user), reason)
    form = GiveForm(request.user, request.POST)
    if reason:
        return _page(request, form, reason, status=403)
    if not form.give():
        return _page(request, form, reason, status=422)
    taker = form.cleaned_data["taker"]
    messages.success(
        request, gettext("%(name)s may decide for you.") % {"name": taker.get_full_name() or taker.get_username()}
    )
    return redirect("recovery:delegations")


@login_required
@require_POST
def revoke_delegation(request: PageRequest, pk: int) -> HttpResponse:
    if not delegations.of(request.user).filter(pk=pk).exists():
        raise Http404("There is no such delegation of yours.")
    try:
        delegations.revoke(pk, by=request.user)
    except NotRevocable as refused:
        messages.warning(request, str(refused))
    else:
        messages.success(request, gettext("The delegation is over."))
    return redirect("recovery:delegations")


def _page(request: PageRequest, form: GiveForm, reason: str, status: int = 200) -> HttpResponse:
    titles = {one.name: one.title for one in pipelines.all_pipelines()}
    rows = [
        Row(one, _standing(one), titles.get(one.pipeline, one.pipeline))
        for one in delegations.of(request.user)[:ROWS_AT_MOST]
    ]
    context = {
        "form": form,
        "why_not_give": reason,
        "given": [row for row in rows if row.it.giver_id == request.user.pk],
        "taken": [row for row in rows if row.it.taker_id == request.user.pk],
    }
    response = render(request, "recovery/delegations.html", context, status=status)
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _standing(delegation: Delegation) -> str:
    now = timezone.now()
    if delegation.revoked_at is not None:
        return "revoked"
    if delegation.ends_at <= now:
        return "over"
    return "active" if delegation.starts_at <= now else "to come"
