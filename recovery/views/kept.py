"""What a run keeps, as far as a page shows it: the content of artifacts, results and values, whole or damaged."""

import hashlib
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext

from recovery.models import Artifact
from recovery.rendering import json_tree
from recovery.rendering.preview import Preview, preview
from recovery.rendering.quantities import size as size_text
from recovery.rendering.window import HEAD, Window
from recovery.views.asked import plain_of


def preview_of(artifact: Artifact | None, media_type: str, name: str = "", window: Window = HEAD) -> Preview:
    """What can be shown of an artifact, whatever state it is in. Never more than `window` of it is read."""
    if artifact is None:
        return Preview("broken", reason=gettext("it is not kept here any more, or never was"))
    try:
        head = artifact.read(window.bytes)
    except FileNotFoundError:
        return Preview("broken", note=size_text(artifact.size), reason=gettext("its file is gone from the storage"))
    is_cut = len(head) != min(artifact.size, window.bytes)
    is_whole = len(head) == artifact.size
    if is_cut or (is_whole and hashlib.sha256(head).hexdigest() != artifact.sha256):
        return Preview(
            "broken", note=size_text(artifact.size), reason=gettext("its bytes are not those that were saved")
        )
    kind = media_type or artifact.media_type
    return preview(head, kind, size=artifact.size, codec=artifact.codec, name=name, window=window)


def kept_text(text: str, artifact_id: str) -> Preview:
    """A result or a value of storage, which stands in the artifact if it is large."""
    if artifact_id:
        return preview_of(Artifact.objects.filter(pk=artifact_id).first(), "application/json")
    size = len(text.encode("utf-8", "surrogatepass"))
    return Preview("json", note=size_text(size), tree=json_tree.tree(plain_of(text)))


def artifact_url(view: str, state_id: Any, artifact_id: str, key: str) -> str:
    """An address of an artifact under the name that the run has for it; there is always a query to add to."""
    return reverse(view, args=[state_id, artifact_id], query={"key": key})
