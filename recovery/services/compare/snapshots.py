"""What differs between two snapshots: steps aligned by address, storage and artifacts by key."""

from collections.abc import Iterator
from functools import partial

from recovery.services.compare.comparison import (
    Comparison,
    Counts,
    KeyPair,
    Kind,
    Relation,
    SameStep,
    SameSteps,
    Side,
    StepPair,
)
from recovery.services.compare.rows import Diff
from recovery.services.compare.step_order import Placed, Step, merge_steps
from recovery.services.compare.values import (
    DiffAndNote,
    Equality,
    LoadArtifact,
    diff_artifacts,
    diff_errors,
    diff_values,
)
from rh_agents.core.state_recovery import Entry, StateSnapshot


def compare(
    left: StateSnapshot, right: StateSnapshot, *, load_artifact: LoadArtifact | None = None, forked_from: str = ""
) -> Comparison:
    """Everything that differs, and what is the same.

    `load_artifact` gives an artifact's bytes by its id; it is called when somebody looks inside of one. `forked_from`
    is the address at which one side was forked from the other, which a snapshot does not tell.
    """
    equality = Equality()
    steps = [_step(number, placed, equality, load_artifact) for number, placed in enumerate(_merged(left, right), 1)]
    storage = _storage(left, right, equality, load_artifact)
    artifacts = _artifacts(left, right, load_artifact)
    return Comparison(
        left=_side(left),
        right=_side(right),
        relation=_relation(left, right, forked_from),
        steps=tuple(_folded(steps)),
        step_counts=Counts.of([step.kind for step in steps]),
        storage=storage,
        storage_counts=Counts.of([pair.kind for pair in storage]),
        artifacts=artifacts,
        artifact_counts=Counts.of([pair.kind for pair in artifacts]),
    )


def _side(snapshot: StateSnapshot) -> Side:
    metadata = snapshot.metadata
    return Side(
        state_id=snapshot.state_id,
        checkpoint=snapshot.head,
        status=snapshot.status,
        pipeline=metadata.pipeline_name,
        description=metadata.description,
        tags=tuple(metadata.tags),
        saved_at=snapshot.updated_at,
    )


def _relation(left: StateSnapshot, right: StateSnapshot, forked_from: str) -> Relation:
    if left.state_id == right.state_id:
        if left.head == right.head:
            return Relation("same")
        return Relation("later" if right.head > left.head else "earlier")
    parents = left.metadata.parent_state_id, right.metadata.parent_state_id
    if parents[1] == left.state_id:
        return Relation("fork_of_left", forked_from)
    if parents[0] == right.state_id:
        return Relation("fork_of_right", forked_from)
    return Relation("siblings" if parents[0] and parents[0] == parents[1] else "unrelated")


def _merged(left: StateSnapshot, right: StateSnapshot) -> list[Placed]:
    return merge_steps(left.events, right.events)


def _step(number: int, placed: Placed, equality: Equality, load_artifact: LoadArtifact | None) -> StepPair:
    left, right = placed.left, placed.right
    differs = _differs(left, right, equality) if left and right else ()
    return StepPair(
        number=number,
        address=placed.address,
        depth=placed.depth,
        kind=_kind(placed, differs),
        left=left,
        right=right,
        is_moved=placed.is_moved,
        differs=differs,
        diff_results=partial(_diff_results, left, right, load_artifact),
        diff_errors=partial(_diff_errors, left, right),
    )


def _kind(placed: Placed, differs: tuple[str, ...]) -> Kind:
    if placed.left is None:
        return "added"
    if placed.right is None:
        return "removed"
    if set(differs) - {"input"}:
        return "changed"
    return "moved" if placed.is_moved else "same"


def _differs(left: Step, right: Step, equality: Equality) -> tuple[str, ...]:
    a, b = left.record, right.record
    checks = {
        "result": equality.holds(a.result_text, b.result_text),
        "status": a.status == b.status,
        "error": (a.error_type, a.error_message) == (b.error_type, b.error_message),
        "input": a.fingerprint == b.fingerprint or not (a.fingerprint and b.fingerprint),
    }
    return tuple(name for name, is_equal in checks.items() if not is_equal)


def _diff_results(left: Step | None, right: Step | None, load_artifact: LoadArtifact | None) -> DiffAndNote:
    text_left, text_right = (step.record.result_text if step else None for step in (left, right))
    return diff_values(text_left, text_right, load_artifact)


def _diff_errors(left: Step | None, right: Step | None) -> Diff | None:
    return diff_errors(left.record, right.record) if left and right else None


def _folded(steps: list[StepPair]) -> Iterator[StepPair | SameSteps]:
    """Runs of steps that are equal in every way become one."""
    run: list[SameStep] = []
    for step in steps:
        if step.kind == "same" and not step.differs and step.left and step.right:
            durations = step.left.record.execution_time, step.right.record.execution_time
            run.append(SameStep(step.number, step.address, *durations))
            continue
        if run:
            yield SameSteps(tuple(run))
            run = []
        yield step
    if run:
        yield SameSteps(tuple(run))


def _storage(
    left: StateSnapshot, right: StateSnapshot, equality: Equality, load_artifact: LoadArtifact | None
) -> tuple[KeyPair, ...]:
    def pair(key: str) -> KeyPair:
        a, b = left.storage.get(key), right.storage.get(key)
        is_same = bool(a and b and equality.holds(a.text, b.text))
        text_left, text_right = (entry.text if entry else None for entry in (a, b))
        diff_of = partial(diff_values, text_left, text_right, load_artifact)
        return KeyPair(key, _key_kind(a, b, is_same), a, b, diff_of)

    return tuple(pair(key) for key in sorted({*left.storage, *right.storage}))


def _artifacts(left: StateSnapshot, right: StateSnapshot, load_artifact: LoadArtifact | None) -> tuple[KeyPair, ...]:
    def pair(key: str) -> KeyPair:
        a, b = left.artifacts.get(key), right.artifacts.get(key)
        # An artifact's id is made of its content.
        kind = _key_kind(a, b, bool(a and b and a.text == b.text))
        return KeyPair(key, kind, a, b, partial(_diff_artifacts, a, b, load_artifact))

    return tuple(pair(key) for key in sorted({*left.artifacts, *right.artifacts}))


def _diff_artifacts(left: Entry | None, right: Entry | None, load_artifact: LoadArtifact | None) -> DiffAndNote:
    return diff_artifacts(left, right, load_artifact) if left and right else (None, "")


def _key_kind(left: Entry | None, right: Entry | None, is_same: bool) -> Kind:
    if left is None:
        return "added"
    if right is None:
        return "removed"
    return "same" if is_same else "changed"
