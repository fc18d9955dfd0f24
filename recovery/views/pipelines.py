"""The registry: what can be run, what ran last, and starting a run with a form made from the input model."""

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from recovery import pipelines
from recovery.errors import InvalidInput, UnknownPipeline
from recovery.forms import ModelForm
from recovery.languages import lazy as _
from recovery.models import State
from recovery.permissions import why_not_start
from recovery.pipelines import Pipeline
from recovery.services.start_run import start_run
from recovery.views.parts import PageRequest, render_part, wants_part

RECENT_ON_PANEL = 3
RECENT_ON_PAGE = 15
COUNT_AT_MOST = 10_000
TAGS_AT_MOST = 20
_SENT_BEFORE = _("This form was sent before, with another input. Send it again to start one more run.")


class AboutForm(forms.Form):
    """What people know the run by."""

    description = forms.CharField(required=False, max_length=500, strip=True)
    tags = forms.CharField(required=False, max_length=500, strip=True)

    def clean_tags(self) -> list[str]:
        tags = list(dict.fromkeys(tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()))
        if len(tags) > TAGS_AT_MOST:
            raise forms.ValidationError(gettext("At most %(tags_at_most)s tags.") % {"tags_at_most": TAGS_AT_MOST})
        if too_long := next((tag for tag in tags if len(tag) > 100), None):
            raise forms.ValidationError(
                gettext("The tag “%(too_long)s…” is longer than 100 characters.") % {"too_long": too_long[:30]}
            )
        return tags


@dataclass(frozen=True, slots=True)
class Entered:
    """A run that somebody is about to start. Its id is in the form, so that a second click starts no second run."""

    about: AboutForm
    input: ModelForm[Any]
    state_id: uuid.UUID
    refused: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: Pipeline, data: Any = None) -> "Entered":
        state_id = _uuid(data.get("state_id", "")) if data is not None else None
        form = ModelForm(pipeline.input_model, prefix="input", data=data)
        return cls(AboutForm(data), form, state_id or uuid.uuid4())

    def is_valid(self) -> bool:
        # Both, so that all that is wrong is said at once.
        return self.input.is_valid() & self.about.is_valid()

    @property
    def messages(self) -> list[str]:
        """What no field of the page stands for."""
        return [message for path, messages in self.refused.items() for message in _placed(path, messages)]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _placed(path: str, messages: list[str]) -> list[str]:
    return [f"{path}: {message}" if path else message for message in messages]


@login_required
@require_safe
def show_pipelines(request: PageRequest) -> HttpResponse:
    panels = [
        {"pipeline": one, "count": _count(one.name), "recent": _recent(one.name, RECENT_ON_PANEL)}
        for one in pipelines.all_pipelines()
    ]
    context = {"panels": panels, "count_at_most": COUNT_AT_MOST, "why_not_start": why_not_start(request.user)}
    return render_part(request, "recovery/pipelines.html", "panels", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_pipeline(request: PageRequest, name: str) -> HttpResponse:
    """What a pipeline does and its form; a POST starts a run, or only changes the rows of the form."""
    try:
        pipeline = pipelines.get(name)
    except UnknownPipeline as unknown:
        raise Http404(str(unknown)) from unknown
    reason = why_not_start(request.user)
    if request.method != "POST":
        return _page(request, pipeline, Entered.of(pipeline), reason)
    entered = Entered.of(pipeline, request.POST)
    if reason:
        return _page(request, pipeline, entered, reason, status=403)
    if entered.input.action:
        return _page(request, pipeline, entered, reason)
    if not entered.is_valid():
        return _page(request, pipeline, entered, reason, status=422)
    about = entered.about.cleaned_data
    try:
        state = start_run(
            pipeline.name,
            entered.input.value,
            by=request.user,
            description=about["description"],
            tags=about["tags"],
            state_id=entered.state_id,
        )
    except InvalidInput as invalid:
        refused = replace(entered, refused=invalid.errors)
        if "state_id" in invalid.errors:
            # The form was sent before, as it was then (somebody came back to it and changed it): this is a new run.
            refused = replace(refused, state_id=uuid.uuid4(), refused={"": [_SENT_BEFORE]})
        return _page(request, pipeline, refused, reason, status=422)
    if wants_part(request):
        return HttpResponseClientRedirect(reverse("recovery:state", args=[state.pk]))
    return redirect("recovery:state", state.pk)


def _page(request: PageRequest, pipeline: Pipeline, entered: Entered, reason: str, status: int = 200) -> HttpResponse:
    context = {
        "pipeline": pipeline,
        "entered": entered,
        "why_not_start": reason,
        "count": _count(pipeline.name),
        "count_at_most": COUNT_AT_MOST,
        "recent": _recent(pipeline.name, RECENT_ON_PAGE),
    }
    return render_part(request, "recovery/pipeline.html", "form", context, status=status)


def _count(name: str) -> int:
    """Counted up to one more than `COUNT_AT_MOST`."""
    return State.objects.of_pipeline(name).order_by()[: COUNT_AT_MOST + 1].count()


def _recent(name: str, at_most: int) -> list[State]:
    shown = ("id", "status", "description", "pipeline", "updated_at", "head")
    return list(State.objects.of_pipeline(name).only(*shown).newest_first()[:at_most])
