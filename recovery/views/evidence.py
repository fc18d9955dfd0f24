"""What stands beside a question: artifacts and results of steps, each as far as it can be shown."""

from collections.abc import Iterable
from dataclasses import dataclass

from recovery.rendering import json_tree
from recovery.rendering.preview import Preview
from recovery.rendering.quantities import size as size_text
from recovery.request_reads import Evidence
from recovery.views.asked import plain_of
from recovery.views.kept import preview_of
from rh_agents.core.types import ExecutionStatus

_ICONS = {"table": "table", "json": "braces", "download": "file", "broken": "file-warning"}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One thing that is shown. `artifact_id` is empty for what is no artifact; `is_step` for an address."""

    name: str
    icon: str
    preview: Preview
    artifact_id: str = ""
    is_step: bool = False


def exhibits_of(evidence: Iterable[Evidence]) -> list[Exhibit]:
    return [_exhibit(found) for found in evidence]


def _exhibit(found: Evidence) -> Exhibit:
    if found.artifact is not None:
        shown = preview_of(found.artifact, found.media_type)
        icon = "list-tree" if found.event else _ICONS.get(shown.kind, "file-text")
        return Exhibit(found.name, icon, shown, found.artifact_id, is_step=found.event is not None)
    if found.artifact_id:
        gone = Preview("broken", reason="the artifact was deleted from the store")
        return Exhibit(found.name, "file-warning", gone, is_step=found.event is not None)
    if found.event is not None:
        return Exhibit(found.name, "list-tree", _of_step(found), is_step=True)
    unknown = Preview("broken", reason="the run has neither an artifact nor a step of this name")
    return Exhibit(found.name, "circle-question-mark", unknown)


def _of_step(found: Evidence) -> Preview:
    event = found.event
    if event is None or event.result is None:
        failed = event is not None and event.status == ExecutionStatus.FAILED.value
        reason = f"the step failed: {event.error_message}" if event is not None and failed else "the step has no result"
        return Preview("broken", reason=reason)
    return Preview("json", note=size_text(event.size), tree=json_tree.tree(plain_of(event.result)))
