"""What the API gives: the shapes of its bodies."""

import uuid
from datetime import datetime
from typing import Any

from ninja import Field, Schema


class Refusal(Schema):
    """Why not. Some codes bring more: see the description of the API."""

    code: str
    message: str


class StateRow(Schema):
    """A run. `checkpoint` is its newest. `pipeline_version` is empty for a run that its own program runs."""

    id: uuid.UUID
    pipeline: str
    pipeline_version: str
    status: str
    description: str
    tags: list[str]
    checkpoint: int
    started_by: str | None
    parent_id: uuid.UUID | None
    created_at: datetime
    updated_at: datetime


class StatePage(Schema):
    items: list[StateRow]
    next_cursor: str | None


class ArtifactEntry(Schema):
    key: str
    artifact_id: str
    media_type: str
    size: int = Field(description="Bytes.")


class Counts(Schema):
    """`steps` counts attempts, as the list of steps does."""

    steps: int
    checkpoints: int
    storage: int
    artifacts: int
    requests: int
    open_requests: int


class Job(Schema):
    """What carries a run on. `kind`: `start`, `resume` or `retry`. `status`: `pending`, `running`, `done`, `failed`,
    `blocked` or `undone`."""

    id: int
    kind: str
    status: str
    attempts: int
    last_error: str
    not_before: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StateDetail(StateRow):
    """`input`, `output` and the values of `storage` are plain JSON. `error` is what a failed run failed with; `job` is
    the newest."""

    forked_from_address: str
    input: Any
    output: Any
    error: str
    storage: dict[str, Any]
    artifacts: list[ArtifactEntry]
    counts: Counts
    job: Job | None


class AcceptedVersion(Schema):
    pipeline_version: str
    job: Job | None


class Carried(Schema):
    """The decision that could not be carried out."""

    request_id: uuid.UUID
    title: str
    outcome: str
    by: str
    at: datetime


class DeadLetter(Schema):
    """A run that is stuck. `job` failed or is blocked, since `since`. `version` is that of its pipeline now, where
    somebody has to accept it before the run goes on; else empty."""

    state: StateRow
    job: Job
    since: datetime | None
    carries: Carried | None
    version: str


class DeadLetterPage(Schema):
    items: list[DeadLetter]
    next_cursor: str | None


class ActedOn(Schema):
    """For each run whether it was done, or the refusal."""

    class Item(Schema):
        state_id: uuid.UUID
        refusal: dict[str, Any] | None

    items: list[Item]


class StepRow(Schema):
    """One attempt of one step. `result` is plain JSON; `null` with a `result_artifact` for a large one."""

    position: int
    address: str
    generation: int
    attempt: int
    kind: str
    status: str
    actor: str
    started_at: datetime
    duration_s: float
    result: Any
    result_artifact: str | None
    size: int
    error_type: str
    error_message: str
    traceback: str


class StepPage(Schema):
    items: list[StepRow]
    next_cursor: str | None


class CheckpointRow(Schema):
    number: int
    status: str
    author: str
    created_at: datetime
    steps: int
    storage: int
    artifacts: int
    digest: str


class CheckpointPage(Schema):
    items: list[CheckpointRow]
    next_cursor: str | None


class RequestRow(Schema):
    """What is asked. `risk`: `low` to `critical`. `outcome` is empty as long as it is open."""

    id: uuid.UUID
    state_id: uuid.UUID
    title: str
    pipeline: str
    pipeline_version: str
    reason: str
    action: str
    effect: str
    risk: str
    tags: list[str]
    requested_by: str | None
    holder: str | None
    opened_at: datetime
    due_at: datetime | None
    outcome: str
    resolved_at: datetime | None


class RequestPage(Schema):
    items: list[RequestRow]
    next_cursor: str | None


class ResolutionShape(Schema):
    """Who decided what, and when. `version` and `digest` name the proposal that it was about."""

    outcome: str
    by: str
    at: datetime
    comment: str
    version: int
    digest: str


class RuleShape(Schema):
    """So many people of a `group` (empty: of all who may decide) are `needed`; `have`: so many agree."""

    group: str
    needed: int
    have: int


class ActShape(Schema):
    """One act on a request: a vote, a comment, a refused attempt (then `refusal` says why)."""

    kind: str
    by: str
    actor_kind: str
    on_behalf_of: str | None
    at: datetime
    version: int
    comment: str
    refusal: str


class TargetShape(Schema):
    address: str
    label: str


class RequestDetail(RequestRow):
    """Everything that a program needs to decide it.

    `kinds` are offered, the main one first. `proposal` is plain; an `edit` sends it back whole, with changes in the
    `editable` fields (`true`: all). `version` and `digest` name it. `change_targets` are the steps that the run may be
    sent back to. `policy` is what applies, `rules` how far it is met, `acts` what was done, in order. `why_not` and
    `blocked` say why this person, or nobody, can decide it now, `stuck` why nobody could settle it; empty if not so.
    """

    message: str
    kinds: list[str]
    is_manual: bool
    address: str
    generation: int
    checkpoint: int
    checkpoint_digest: str
    proposal: Any
    args_schema: dict[str, Any] | None
    editable: bool | list[str]
    response_schema: dict[str, Any] | None
    version: int
    digest: str
    evidence: list[str]
    compare_to: str
    change_targets: list[TargetShape]
    expires_at: datetime | None
    on_expire: str
    on_reject: str
    group: str
    group_policy: str
    policy: dict[str, Any]
    rules: list[RuleShape]
    acts: list[ActShape]
    why_not: str
    blocked: str
    stuck: str
    may_undo: bool
    resolution: ResolutionShape | None
    job: Job | None


class Decided(Schema):
    """What a decision came to. `resolution` is `null` where it settled nothing, as a vote that is not enough. `job`
    carries it to the run; `null` for a run that its own program runs."""

    request: RequestRow
    resolution: ResolutionShape | None
    job: Job | None


class DecidedMany(Schema):
    """For each request what it came to, or the refusal."""

    class Item(Schema):
        request_id: uuid.UUID
        decided: Decided | None
        refusal: dict[str, Any] | None

    items: list[Item]


class PipelineRow(Schema):
    name: str
    title: str
    description: str
    version: str
    input_schema: dict[str, Any]


class PipelineList(Schema):
    items: list[PipelineRow]
