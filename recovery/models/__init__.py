"""What the product remembers: runs, their checkpoints and artifacts, requests, decisions and who may decide, the
audit, and how people read all that."""

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
from recovery.models.reader import Notice, NoticeTail, Reader
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
    "Notice",
    "NoticeTail",
    "PipelinePolicy",
    "ProposalVersion",
    "Reader",
    "RequestDecider",
    "Resolution",
    "Resumption",
    "Risk",
    "SavedView",
    "State",
    "StorageEntry",
    "Tag",
]
