"""One record of a run, whole: an attempt of a step with what it gave and wrote, or a value of storage."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from recovery.models import Event, StorageEntry
from recovery.rendering import json_tree
from recovery.views.asked import plain_of
from recovery.views.kept import kept_text
from recovery.views.parts import PageRequest, render_part
from recovery.views.state_timeline import own_traceback, step_url
from recovery.views.viewed import Viewed

_ROWS_AT_MOST = 50
_SHORT_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Written:
    """One key that a step wrote; `tree` where its value is short. `is_deleted`: it took the key away."""

    key: str
    size: int
    is_deleted: bool = False
    tree: json_tree.Node | None = None
    artifact_id: str = ""
    media_type: str = ""


@login_required
@require_safe
def show_step(request: PageRequest, pk: uuid.UUID, position: int) -> HttpResponse:
    """One attempt of one step: what it gave, wrote or failed with."""
    viewed = Viewed.of(pk, request.GET)
    event = viewed.log(Event.objects.filter(position=position)).order_by("-pk").first()
    if event is None:
        # Closed since by a roll-back or an answer: the record itself is still there.
        event = Event.objects.filter(state=viewed.state, position=position).order_by("-pk").first()
    if event is None:
        raise Http404(f"state {pk} has no step at position {position}")
    context = {
        "viewed": viewed,
        "event": event,
        "preview": kept_text(event.result, event.result_artifact) if event.result is not None else None,
        "written": _written(event),
        "traceback": own_traceback(event.traceback),
        "step_url": step_url(viewed, event.address),
        "storage_url": Viewed(viewed.state).url("storage", checkpoint=event.added_in),
        "attempts": list(
            Event.objects.filter(state=viewed.state, address=event.address)
            .only("position", "attempt", "generation", "status", "duration_s", "started_at")
            .order_by("generation", "attempt", "pk")[:_ROWS_AT_MOST]
        ),
    }
    return render_part(request, "recovery/step.html", "result", context)


@login_required
@require_safe
def show_storage_entry(request: PageRequest, pk: uuid.UUID, entry_id: int) -> HttpResponse:
    """One value of storage, whole."""
    entry = get_object_or_404(StorageEntry.objects.select_related("state"), state_id=pk, pk=entry_id)
    viewed = Viewed(entry.state)
    context = {
        "viewed": viewed,
        "entry": entry,
        "preview": kept_text(entry.text, entry.artifact),
        "owner_url": step_url(viewed, entry.owner) if entry.owner else "",
    }
    return render_part(request, "recovery/storage_entry.html", "value", context)


def _written(event: Event) -> list[Written]:
    """What the step put into storage and artifacts, as its record keeps it."""
    try:
        wrote = json.loads(event.wrote or "{}")
    except ValueError:
        return []
    found = [*_storage_writes(wrote.get("storage", {})), *_artifact_writes(wrote.get("artifacts", {}))]
    return found[:_ROWS_AT_MOST]


def _storage_writes(writes: dict[str, list[Any]]) -> Iterator[Written]:
    for key, (_, text, *_rest) in writes.items():
        if text is None:
            yield Written(key, 0, is_deleted=True)
        else:
            is_short = len(text) <= _SHORT_CHARACTERS
            yield Written(key, len(text), tree=json_tree.tree(plain_of(text)) if is_short else None)


def _artifact_writes(writes: dict[str, list[Any]]) -> Iterator[Written]:
    # Each is [sequence number, artifact id, media type, size], the last two where they are known.
    for key, (_, artifact_id, *rest) in writes.items():
        media_type, size = (*rest, "", 0)[:2] if len(rest) >= 2 else ("", 0)
        yield Written(key, size, artifact_id is None, artifact_id=artifact_id or "", media_type=media_type)
