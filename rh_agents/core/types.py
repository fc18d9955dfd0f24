"""The small enumerations that steps, records and states share."""

from enum import StrEnum


class EventType(StrEnum):
    """What kind of step it is; the last part of its address."""

    AGENT_CALL = "agent_call"
    TOOL_CALL = "tool_call"
    LLM_CALL = "llm_call"
    DECISION = "decision"


class ExecutionStatus(StrEnum):
    """Where one attempt of a step stands. Only ended attempts and open questions are saved."""

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    AWAITING = "awaiting"
    CANCELLED = "cancelled"
