"""What the tabs of a state show, each with queries of its own: storage, artifacts, checkpoints, requests, audit."""

import json
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Length, Substr

from recovery.models import ApprovalRequest, ArtifactRef, AuditEntry, Checkpoint, Event, StorageEntry
from recovery.rendering import json_tree
from recovery.rendering.plain import shortened
from recovery.views.asked import plain_of
from recovery.views.state_timeline import step_url
from recovery.views.viewed import Viewed

# A value up to this many characters stands on the page by itself; others are read when somebody opens them.
_INLINE_CHARACTERS = 2_000
PAGE_SIZE = 50
_KEYS_AT_MOST = 200
COUNT_AT_MOST = 999


@dataclass(frozen=True, slots=True)
class Kept:
    """A storage key or an artifact. `tree` of a value that is short enough to stand on the page by itself."""

    key: str
    row: Any
    owner_url: str
    size: int = 0
    tree: json_tree.Node | None = None


def counts_of(viewed: Viewed) -> dict[str, int]:
    """Tab to how much it shows, counted no further than `COUNT_AT_MOST` + 1 where it can be much."""
    tip = viewed.tip
    entries = AuditEntry.objects.filter(state_id=viewed.state.pk).order_by()
    return {
        "timeline": viewed.log(Event.objects.order_by()).values("address").distinct().count(),
        "storage": tip.storage_count if tip else 0,
        "artifacts": tip.artifact_count if tip else 0,
        "checkpoints": viewed.state.head,
        "requests": viewed.state.requests.order_by()[: COUNT_AT_MOST + 1].count(),
        "audit": entries[: COUNT_AT_MOST + 1].count(),
    }


def storage_tab(viewed: Viewed, query: Any) -> dict[str, Any]:
    entries = viewed.log(StorageEntry.objects.all()).order_by("key")
    after = query.get("after", "")
    if after and "\x00" not in after:
        entries = entries.filter(key__gt=after)
    columns = entries.annotate(size=Length("text"), head=Substr("text", 1, _INLINE_CHARACTERS)).defer("text")
    rows = list(columns[: _KEYS_AT_MOST + 1])
    shown = [
        Kept(row.key, row, _owner_url(viewed, row.owner), row.size, _tree(row.head) if _is_short(row) else None)
        for row in rows[:_KEYS_AT_MOST]
    ]
    more = viewed.url("storage", after=shown[-1].key) if len(rows) > _KEYS_AT_MOST else ""
    return {"entries": shown, "more_url": more}


def artifacts_tab(viewed: Viewed, query: Any) -> dict[str, Any]:
    refs = viewed.log(ArtifactRef.objects.all()).order_by("key")
    after = query.get("after", "")
    if after and "\x00" not in after:
        refs = refs.filter(key__gt=after)
    rows = list(refs[: _KEYS_AT_MOST + 1])
    shown = [Kept(row.key, row, _owner_url(viewed, row.owner), row.size) for row in rows[:_KEYS_AT_MOST]]
    more = viewed.url("artifacts", after=shown[-1].key) if len(rows) > _KEYS_AT_MOST else ""
    return {"refs": shown, "more_url": more}


def checkpoints_tab(viewed: Viewed, query: Any) -> dict[str, Any]:
    checkpoints = Checkpoint.objects.filter(state=viewed.state).order_by("-number").defer("metadata", "extra", "digest")
    before = _number(query.get("before", ""))
    if before:
        checkpoints = checkpoints.filter(number__lt=before)
    rows = list(checkpoints[: PAGE_SIZE + 1])
    more = viewed.url("checkpoints", before=rows[PAGE_SIZE - 1].number) if len(rows) > PAGE_SIZE else ""
    return {"checkpoints": rows[:PAGE_SIZE], "more_url": more, "before": before}


def requests_tab(viewed: Viewed, query: Any) -> dict[str, Any]:
    requests = ApprovalRequest.objects.filter(state=viewed.state).select_related("holder").order_by("-opened_at", "-id")
    rows = list(requests.defer("question", "message", "args_schema", "response_schema")[: PAGE_SIZE + 1])
    return {"requests": rows[:PAGE_SIZE], "has_more": len(rows) > PAGE_SIZE}


def audit_tab(viewed: Viewed, query: Any) -> dict[str, Any]:
    entries = AuditEntry.objects.filter(state_id=viewed.state.pk).order_by("-number")
    before = _number(query.get("before", ""))
    if before:
        entries = entries.filter(number__lt=before)
    rows = list(entries[: PAGE_SIZE + 1])
    more = viewed.url("audit", before=rows[PAGE_SIZE - 1].number) if len(rows) > PAGE_SIZE else ""
    return {"entries": [(row, _detail(row)) for row in rows[:PAGE_SIZE]], "more_url": more, "before": before}


def _detail(entry: AuditEntry) -> list[tuple[str, str]]:
    try:
        detail = json.loads(entry.detail or "{}")
    except ValueError:
        return [("detail", shortened(entry.detail, 300))]
    pairs = detail.items() if isinstance(detail, dict) else [("detail", detail)]
    return [(str(name), shortened(str(value), 300)) for name, value in pairs if value not in ("", None)]


def _is_short(row: Any) -> bool:
    return row.size <= _INLINE_CHARACTERS and not row.artifact


def _tree(text: str) -> json_tree.Node:
    return json_tree.tree(plain_of(text))


def _owner_url(viewed: Viewed, owner: str) -> str:
    return step_url(viewed, owner) if owner else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
