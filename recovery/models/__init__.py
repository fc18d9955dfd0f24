"""What the product remembers: runs, their checkpoints and artifacts, requests, decisions and who may decide, and the
audit."""

from recovery.models.access import AutoRule, Delegation, PipelinePolicy, RequestDecider
from recovery.models.approval import (
    ApprovalRequest,
    Decision,
    ProposalVersion,
    Resolution,
    Resumption,
    Risk,
)
from recovery.models.artifact import Artifact, ArtifactRef
from recovery.models.audit import AuditEntry, AuditTail
from recovery.models.checkpoint import Checkpoint, Event, StorageEntry
from recovery.models.saved_view import SavedView
from recovery.models.state import State, Tag

__all__ = [
    "ApprovalRequest",
    "Artifact",
    "ArtifactRef",
    "AuditEntry",
    "AuditTail",
    "AutoRule",
    "Checkpoint",
    "Decision",
    "Delegation",
    "Event",
    "PipelinePolicy",
    "ProposalVersion",
    "RequestDecider",
    "Resolution",
    "Resumption",
    "Risk",
    "SavedView",
    "State",
    "StorageEntry",
    "Tag",
]
