"""Artifacts of a state, results and values that were too large for a row among them: to look at, to download."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.files.storage import storages
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from recovery.models import Artifact, ArtifactRef, Event, State, StorageEntry
from recovery.rendering.json_search import LONGEST_WANTED
from recovery.rendering.tables import MOST_ROWS
from recovery.rendering.window import LARGE, Window
from recovery.views.kept import artifact_url, preview_of
from recovery.views.parts import PageRequest, render_part
from recovery.views.state_timeline import step_url
from recovery.views.viewed import Viewed

# As a page of ours these would be text or a picture at most; everything else comes as bytes without a type.
_HARMLESS = re.compile(
    r"text/(plain|csv|markdown|tab-separated-values)|application/(json|pdf)|image/(png|jpeg|gif|webp)"
)
# What no system takes in a name, and what makes `gpj.exe` read as `exe.jpg`.
_NOT_IN_FILE_NAMES = re.compile(
    r"[\x00-\x1f\x7f-\x9f/\\:*?\"<>|\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+"
)
# Places of children, from the root to a node; nothing is nested more deeply that could be read.
_PATH = re.compile(r"[0-9]{1,8}(\.[0-9]{1,8}){0,99}")
_EXTENSIONS = {"application/json": ".json", "text/plain": ".txt", "text/csv": ".csv", "text/markdown": ".md"}


@dataclass(frozen=True, slots=True)
class Named:
    """An artifact of a state under the name that the state has for it; `artifact` is `None` if it is not kept here."""

    state: State
    artifact_id: str
    artifact: Artifact | None
    name: str
    media_type: str
    owner: str = ""


class DamagedError(Exception):
    """There is a file, but not of the size that was saved."""


@login_required
@require_safe
def show_artifact(request: PageRequest, pk: uuid.UUID, artifact_id: str) -> HttpResponse:
    """An artifact that the state refers to, or referred to at an earlier checkpoint."""
    named = _named(pk, artifact_id, request.GET.get("key", ""))
    window = window_of(request.GET)
    shown = preview_of(named.artifact, named.media_type, named.name, window)
    context = {
        "named": named,
        "preview": shown,
        "window": window,
        "url": artifact_url("recovery:artifact", pk, artifact_id, named.name),
        "file_url": artifact_url("recovery:artifact_download", pk, artifact_id, named.name),
        "owner_url": step_url(Viewed(named.state), named.owner) if named.owner else "",
    }
    # What follows in a tree is put where the link to it stood.
    part = "rows" if "from" in request.GET and shown.kind == "json" else "preview"
    return render_part(request, "recovery/artifact.html", part, context)


def window_of(query: Mapping[str, Any], at_most: int = LARGE.bytes) -> Window:
    """What of something large an address asks for; what it says that means nothing is left out."""
    rows = _number(query.get("rows", ""))
    at = str(query.get("at", ""))
    return replace(
        LARGE,
        bytes=at_most,
        rows=min(rows, MOST_ROWS) if rows else LARGE.rows,
        sort=_number(query.get("sort", "")),
        descending=query.get("order") == "down",
        at=tuple(map(int, at.split("."))) if _PATH.fullmatch(at) else (),
        start=_number(query.get("from", "")) or 0,
        find=str(query.get("find", ""))[:LONGEST_WANTED].strip(),
    )


def _number(text: Any) -> int | None:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 9
    return int(text) if is_number else None


@login_required
@require_safe
def download_artifact(request: PageRequest, pk: uuid.UUID, artifact_id: str) -> HttpResponseBase:
    named = _named(pk, artifact_id, request.GET.get("key", ""))
    if named.artifact is None:
        raise Http404(f"the artifact {artifact_id} is not kept here")
    try:
        return _attachment(named.artifact, named.name, named.media_type)
    except (FileNotFoundError, DamagedError):
        context = {"named": named, "preview": preview_of(named.artifact, named.media_type), "is_part": False}
        return render(request, "recovery/artifact.html", context, status=404)


def _named(state_id: uuid.UUID, artifact_id: str, key: str) -> Named:
    """Raises Http404 if nothing of the state ever referred to the artifact."""
    if "\x00" in artifact_id:
        raise Http404("no artifact has such an id")
    state = get_object_or_404(State.objects.only("id", "pipeline", "description", "status", "head"), pk=state_id)
    artifact = Artifact.objects.filter(pk=artifact_id).first()
    refs = ArtifactRef.objects.filter(state=state, artifact_id=artifact_id).order_by("-added_in")
    ref = (refs.filter(key=key).first() if key and "\x00" not in key else None) or refs.first()
    if ref is not None:
        return Named(state, artifact_id, artifact, ref.key, ref.media_type, ref.owner)
    event = Event.objects.filter(state=state, result_artifact=artifact_id).only("address").first()
    if event is not None:
        return Named(
            state,
            artifact_id,
            artifact,
            gettext("Result of %(address)s") % {"address": event.address},
            "application/json",
            event.address,
        )
    entry = StorageEntry.objects.filter(state=state, artifact=artifact_id).only("key", "owner").first()
    if entry is not None:
        return Named(state, artifact_id, artifact, entry.key, "application/json", entry.owner)
    raise Http404(f"state {state_id} has no artifact {artifact_id}")


def _attachment(artifact: Artifact, name: str, media_type: str) -> FileResponse:
    """The bytes as a file to keep. No browser takes it for a page of ours, whatever it holds.

    Raises:
        FileNotFoundError: the file is gone from the storage.
        DamagedError: it is shorter or longer than what was saved.
    """
    essence = (media_type or artifact.media_type).partition(";")[0].strip().lower()
    # FileResponse says nothing of a file name unless it is given something to read from.
    if artifact.inline is not None:
        content: Any = BytesIO(artifact.read())
        size = content.getbuffer().nbytes
    else:
        size = storages["artifacts"].size(artifact.file_name)
        content = storages["artifacts"].open(artifact.file_name, "rb")
    if size != artifact.size:
        # A browser that is promised more bytes than come calls the download broken and does not say why.
        content.close()
        raise DamagedError(f"artifact {artifact.pk} has {size} of {artifact.size} bytes")
    response = FileResponse(
        content,
        as_attachment=True,
        filename=_file_name(name, essence if artifact.codec != "json" else "application/json"),
        content_type=essence if _HARMLESS.fullmatch(essence) else "application/octet-stream",
    )
    response["Content-Length"] = artifact.size
    _keep_harmless(response)
    return response


def harmless_file(response: HttpResponse, name: str, media_type: str) -> HttpResponse:
    """The answer as a file to keep, as those of artifacts are."""
    response["Content-Disposition"] = content_disposition_header(True, _file_name(name, media_type)) or "attachment"
    _keep_harmless(response)
    return response


def _keep_harmless(response: HttpResponseBase) -> None:
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-store"


def _file_name(name: str, media_type: str) -> str:
    """A name that every system takes, with the extension that a reader expects."""
    words = _NOT_IN_FILE_NAMES.sub("_", name).strip(" .")[:120] or "artifact"
    extension = _EXTENSIONS.get(media_type, "")
    return words if "." in words[1:] and not words.startswith(gettext("Result of")) else words + extension
