"""An engine that runs agent pipelines as addressed steps, checkpoints them and replays them."""

from rh_agents.core.actors import LLM, Agent, BaseActor, Tool, ToolSet, agent, tool
from rh_agents.core.approvals import Answer, AwaitingDecision, Question
from rh_agents.core.bus import EventBus
from rh_agents.core.errors import (
    AddressError,
    AddressNotFoundError,
    AmbiguousReplayError,
    CorruptArtifactError,
    CorruptStateError,
    IncompatibleVersionError,
    PreconditionError,
    RhAgentsError,
    RunCancelledError,
    SerializationError,
    StaleWriterError,
    StateError,
    StateNotFoundError,
)
from rh_agents.core.events import ExecutionEvent, ExecutionResult
from rh_agents.core.execution import ExecutionState, ExecutionStore, HistorySet
from rh_agents.core.migrations import migration
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
    "PreconditionError",
    "Question",
    "ReplayMode",
    "RetryPolicy",
    "RhAgentsError",
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
