"""What stands beside a question: artifacts and results of steps, each as far as it can be shown."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.utils.translation import gettext

from recovery.rendering import json_tree
from recovery.rendering.preview import PICTURES, Preview
from recovery.rendering.quantities import size as size_text
from recovery.request_reads import Evidence
from recovery.views.asked import plain_of
from recovery.views.kept import artifact_url, preview_of
from rh_agents.core.types import ExecutionStatus

LATER_BYTES = 16_384

_ICONS = {"table": "table", "picture": "image", "json": "braces", "download": "file", "broken": "file-warning"}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One thing that is shown. `artifact_id` is empty for what is no artifact, `url` for what has no page of its own;
    `is_step` for an address; `place` is its id on the page."""

    name: str
    icon: str
    preview: Preview
    artifact_id: str = ""
    is_step: bool = False
    place: str = ""
    url: str = ""
    file_url: str = ""


def exhibits_of(state_id: uuid.UUID, evidence: Iterable[Evidence]) -> list[Exhibit]:
    return [
        replace(_exhibit(state_id, found, is_open=place == 1), place=f"evidence-{place}")
        for place, found in enumerate(evidence, start=1)
    ]


def _exhibit(state_id: uuid.UUID, found: Evidence, *, is_open: bool) -> Exhibit:
    if found.artifact is not None:
        is_picture = (found.media_type or found.artifact.media_type) in PICTURES
        if found.artifact.size > LATER_BYTES and not is_open and not is_picture:
            # It is folded, and to look into many of them would take its time. Of a picture only the head is read.
            shown = Preview("later", note=size_text(found.artifact.size))
        else:
            shown = preview_of(found.artifact, found.media_type, found.name)
        icon = "list-tree" if found.event else _ICONS.get(shown.kind, "file-text")
        return Exhibit(
            found.name,
            icon,
            shown,
            found.artifact_id,
            is_step=found.event is not None,
            url=artifact_url("recovery:artifact", state_id, found.artifact_id, found.name),
            file_url=artifact_url("recovery:artifact_download", state_id, found.artifact_id, found.name),
        )
    if found.artifact_id:
        gone = Preview("broken", reason=gettext("the artifact was deleted from the store"))
        return Exhibit(found.name, "file-warning", gone, is_step=found.event is not None)
    if found.event is not None:
        return Exhibit(found.name, "list-tree", _of_step(found), is_step=True)
    unknown = Preview("broken", reason=gettext("the run has neither an artifact nor a step of this name"))
    return Exhibit(found.name, "circle-question-mark", unknown)


def _of_step(found: Evidence) -> Preview:
    event = found.event
    if event is None or event.result is None:
        failed = event is not None and event.status == ExecutionStatus.FAILED.value
        reason = (
            gettext("the step failed: %(error_message)s") % {"error_message": event.error_message}
            if event is not None and failed
            else gettext("the step has no result")
        )
        return Preview("broken", reason=reason)
    return Preview("json", note=size_text(event.size), tree=json_tree.tree(plain_of(event.result)))
