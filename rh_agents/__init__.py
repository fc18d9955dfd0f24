"""An engine that runs agent pipelines as addressed steps, checkpoints them and replays them.

The names below are imported when they are first used, so that `import rh_agents` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rh_agents.core.actors import LLM, Agent, BaseActor, Tool, ToolSet, agent, tool
    from rh_agents.core.approvals import Answer, AwaitingDecision, ChangeTarget, Choice, Instruction, Question
    from rh_agents.core.bus import EventBus
    from rh_agents.core.errors import (
        AddressError,
        AddressNotFoundError,
        AmbiguousReplayError,
        CorruptArtifactError,
        CorruptStateError,
        IncompatibleVersionError,
        PreconditionError,
        RejectedError,
        RhAgentsError,
        RunAbortedError,
        RunCancelledError,
        SerializationError,
        StaleWriterError,
        StateError,
        StateNotFoundError,
    )
    from rh_agents.core.events import ExecutionEvent, ExecutionResult
    from rh_agents.core.execution import ExecutionState, ExecutionStore, HistorySet
    from rh_agents.core.migrations import migration
    from rh_agents.core.policy import Policy
    from rh_agents.core.retry import RetryPolicy
    from rh_agents.core.runner import RunOutcome, run_pipeline
    from rh_agents.core.state_backend import ArtifactBackend, StateBackend
    from rh_agents.core.state_recovery import (
        CURRENT_SCHEMA_VERSION,
        ReplayMode,
        StateDiff,
        StateMetadata,
        StateSnapshot,
        StateStatus,
    )
    from rh_agents.core.types import EventType, ExecutionStatus
    from rh_agents.state_backends import FileSystemArtifactBackend, FileSystemStateBackend, compute_artifact_id

__all__ = [
    "CURRENT_SCHEMA_VERSION",
    "LLM",
    "AddressError",
    "AddressNotFoundError",
    "Agent",
    "AmbiguousReplayError",
    "Answer",
    "ArtifactBackend",
    "AwaitingDecision",
    "BaseActor",
    "ChangeTarget",
    "Choice",
    "CorruptArtifactError",
    "CorruptStateError",
    "EventBus",
    "EventType",
    "ExecutionEvent",
    "ExecutionResult",
    "ExecutionState",
    "ExecutionStatus",
    "ExecutionStore",
    "FileSystemArtifactBackend",
    "FileSystemStateBackend",
    "HistorySet",
    "IncompatibleVersionError",
    "Instruction",
    "Policy",
    "PreconditionError",
    "Question",
    "RejectedError",
    "ReplayMode",
    "RetryPolicy",
    "RhAgentsError",
    "RunAbortedError",
    "RunCancelledError",
    "RunOutcome",
    "SerializationError",
    "StaleWriterError",
    "StateBackend",
    "StateDiff",
    "StateError",
    "StateMetadata",
    "StateNotFoundError",
    "StateSnapshot",
    "StateStatus",
    "Tool",
    "ToolSet",
    "agent",
    "compute_artifact_id",
    "migration",
    "run_pipeline",
    "tool",
]

_HOMES = {
    "rh_agents.core.actors": (
        "LLM",
        "Agent",
        "BaseActor",
        "Tool",
        "ToolSet",
        "agent",
        "tool",
    ),
    "rh_agents.core.approvals": (
        "Answer",
        "AwaitingDecision",
        "ChangeTarget",
        "Choice",
        "Instruction",
        "Question",
    ),
    "rh_agents.core.bus": ("EventBus",),
    "rh_agents.core.errors": (
        "AddressError",
        "AddressNotFoundError",
        "AmbiguousReplayError",
        "CorruptArtifactError",
        "CorruptStateError",
        "IncompatibleVersionError",
        "PreconditionError",
        "RejectedError",
        "RhAgentsError",
        "RunAbortedError",
        "RunCancelledError",
        "SerializationError",
        "StaleWriterError",
        "StateError",
        "StateNotFoundError",
    ),
    "rh_agents.core.events": (
        "ExecutionEvent",
        "ExecutionResult",
    ),
    "rh_agents.core.execution": (
        "ExecutionState",
        "ExecutionStore",
        "HistorySet",
    ),
    "rh_agents.core.migrations": ("migration",),
    "rh_agents.core.policy": ("Policy",),
    "rh_agents.core.retry": ("RetryPolicy",),
    "rh_agents.core.runner": (
        "RunOutcome",
        "run_pipeline",
    ),
    "rh_agents.core.state_backend": (
        "ArtifactBackend",
        "StateBackend",
    ),
    "rh_agents.core.state_recovery": (
        "CURRENT_SCHEMA_VERSION",
        "ReplayMode",
        "StateDiff",
        "StateMetadata",
        "StateSnapshot",
        "StateStatus",
    ),
    "rh_agents.core.types": (
        "EventType",
        "ExecutionStatus",
    ),
    "rh_agents.state_backends": (
        "FileSystemArtifactBackend",
        "FileSystemStateBackend",
        "compute_artifact_id",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'rh_agents' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
