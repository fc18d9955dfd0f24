"""compare_states: what is stored, by `<state id>` or `<state id>@<checkpoint>`, and the sides it refuses."""

import uuid
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test.utils import CaptureQueriesContext

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import NotASide
from recovery.models import Artifact, State
from recovery.services.compare import compare_states, parse_reference
from recovery.services.compare.comparison import StepPair
from recovery.services.compare.states import LARGEST_VALUE
from rh_agents.core.serialization import artifact_id, artifact_reference, encode, encode_artifact
from rh_agents.core.state_recovery import Entry, EventRecord, StateMetadata, StateSnapshot, StateStatus
from rh_agents.core.types import ExecutionStatus

pytestmark = pytest.mark.django_db

NOBODY = "00000000-0000-4000-8000-000000000000"


def step(name: str, position: int, result: Any) -> EventRecord:
    return EventRecord(
        position=position,
        address=f"{name}::tool_call",
        event_type="tool_call",
        actor=name,
        status=ExecutionStatus.COMPLETED,
        result_text=result if isinstance(result, str) else encode(result),
    )


@pytest.fixture
def saved() -> str:
    """A state of three checkpoints: one step, another one, and the second one with another result."""
    backend, state_id = DjangoStateBackend(), str(uuid.uuid4())
    first, second = step("read", 1, [1]), step("draft", 2, {"n": 1})
    metadata = StateMetadata(pipeline_name="refunds", description="A-17")
    for events in ([first], [first, second], [first, step("draft", 3, {"n": 2})]):
        backend.save_state(
            StateSnapshot(state_id=state_id, events=events, metadata=metadata, status=StateStatus.PAUSED)
        )
    return state_id


def changed(left: str, right: str) -> dict[str, str]:
    return {entry.address: entry.kind for entry in compare_states(left, right).steps if isinstance(entry, StepPair)}


def test_two_checkpoints_of_one_state_are_compared(saved: str) -> None:
    assert changed(f"{saved}@1", f"{saved}@2") == {"draft::tool_call": "added"}
    assert changed(f"{saved}@3", f"{saved}@2") == {"draft::tool_call": "changed"}
    comparison = compare_states(f"{saved}@1", f"{saved}@3")
    assert comparison.relation.kind == "later"
    assert (comparison.left.checkpoint, comparison.right.checkpoint) == (1, 3)
    assert (comparison.right.pipeline, comparison.right.description) == ("refunds", "A-17")


def test_an_id_alone_means_the_newest_checkpoint(saved: str) -> None:
    comparison = compare_states(saved, f"{saved}@3")
    assert comparison.left.checkpoint == 3
    assert (comparison.relation.kind, comparison.is_empty) == ("same", True)


def test_a_fork_says_where_it_began(saved: str) -> None:
    child = str(uuid.uuid4())
    metadata = StateMetadata(parent_state_id=saved)
    DjangoStateBackend().save_state(StateSnapshot(state_id=child, events=[step("read", 1, [1])], metadata=metadata))
    State.objects.filter(pk=child).update(forked_from_address="draft::tool_call")
    assert tuple(compare_states(saved, child).relation) == ("fork_of_left", "draft::tool_call")
    assert tuple(compare_states(child, saved).relation) == ("fork_of_right", "draft::tool_call")


@pytest.mark.parametrize(
    ("text", "state_id", "checkpoint"),
    [
        (NOBODY, NOBODY, None),
        (f"  {NOBODY}@7\n", NOBODY, 7),
        (uuid.UUID(NOBODY).hex.upper(), NOBODY, None),
    ],
)
def test_a_reference_is_an_id_and_perhaps_a_checkpoint(text: str, state_id: str, checkpoint: int | None) -> None:
    reference = parse_reference(text, "left")
    assert (reference.state_id, reference.checkpoint) == (state_id, checkpoint)
    assert parse_reference(str(reference), "left") == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7c1e4b0a",
        f"{NOBODY}@",
        f"{NOBODY}@-1",
        f"{NOBODY}@1.5",
        f"{NOBODY}@{'9' * 30}",
        "../../etc",
        "\x00",
        "٣" * 32,
    ],
)
def test_what_is_no_reference_is_refused_and_named(text: str, saved: str) -> None:
    for side, sides in (("left", (text, saved)), ("right", (saved, text))):
        with pytest.raises(NotASide) as refusal:
            compare_states(*sides)
        assert refusal.value.side == side
        assert refusal.value.reference == text
        assert (
            str(refusal.value)
            == f"{side}: {text.strip()!r} is no id of a state, nor an id and a checkpoint as in <id>@3"
        )


def test_an_unknown_state_or_checkpoint_is_refused_and_named(saved: str) -> None:
    with pytest.raises(NotASide, match=f"^left: there is no state {NOBODY}$"):
        compare_states(NOBODY, saved)
    with pytest.raises(NotASide, match=f"^right: state {saved} has no checkpoint 4; its newest is 3$"):
        compare_states(saved, f"{saved}@4")
    with pytest.raises(NotASide, match="has no checkpoint 0"):
        compare_states(saved, f"{saved}@0")


def test_a_damaged_state_is_refused_and_named(saved: str) -> None:
    State.objects.filter(pk=saved).update(head=9)
    with pytest.raises(NotASide, match=f"right: it cannot be read: state {saved} is damaged"):
        compare_states(f"{saved}@1", saved)


@pytest.fixture
def with_artifact() -> Any:
    """Saves states that hold one artifact, or a result that is kept as one."""
    backend = DjangoArtifactBackend()

    def save(value: Any, key: str = "notes.md", *, as_result: bool = False) -> str:
        encoded = encode_artifact(value, key=key)
        identity = artifact_id(encoded)
        backend.save_encoded(identity, *encoded)
        snapshot = StateSnapshot(state_id=str(uuid.uuid4()))
        if as_result:
            snapshot.events = [step("read", 1, artifact_reference(identity))]
        else:
            snapshot.artifacts = {key: Entry(1, identity, "", encoded.media_type, len(encoded.payload))}
        DjangoStateBackend().save_state(snapshot)
        return snapshot.state_id

    return save


def test_artifacts_are_read_from_where_they_are_stored(with_artifact: Any) -> None:
    long = "line\n" * 30_000
    (pair,) = compare_states(with_artifact(long + "one"), with_artifact(long + "two")).artifacts
    assert pair.diff is not None
    assert [row.kind for row in pair.diff.rows if row.kind != "same"] == ["old", "new"]


def test_results_kept_as_artifacts_are_compared_inside(with_artifact: Any) -> None:
    left, right = (with_artifact({"n": number}, as_result=True) for number in (1, 2))
    (pair,) = compare_states(left, right).steps
    assert isinstance(pair, StepPair)
    assert pair.result is not None
    assert [row.path for row in pair.result.rows if row.kind != "same"] == ["n"]


def test_a_file_that_is_gone_and_one_that_is_too_large_are_told(with_artifact: Any) -> None:
    left, right = with_artifact("a" * 100_000), with_artifact("b" * 100_000)
    for artifact in Artifact.objects.exclude(file_name=""):
        storages["artifacts"].delete(artifact.file_name)
    (pair,) = compare_states(left, right).artifacts
    assert (pair.diff, pair.note[:24]) == (None, "The file of the artifact")
    left, right = (with_artifact({"n": number}, as_result=True) for number in (1, 2))
    Artifact.objects.update(size=LARGEST_VALUE + 1)
    (step_pair,) = compare_states(left, right).steps
    assert isinstance(step_pair, StepPair)
    assert (step_pair.result, step_pair.note[:27]) == (None, "Of 2,097,153 bytes, more th")


def test_comparing_reads_the_database_as_often_for_many_steps_as_for_few(
    saved: str, django_assert_max_num_queries: Any
) -> None:
    many = str(uuid.uuid4())
    DjangoStateBackend().save_state(StateSnapshot(state_id=many, events=[step(f"s{n}", n, n) for n in range(300)]))
    with django_assert_max_num_queries(20) as few:
        assert isinstance(few, CaptureQueriesContext)
        compare_states(f"{saved}@1", f"{saved}@2")
    with django_assert_max_num_queries(len(few.captured_queries)):
        compare_states(f"{many}@1", f"{saved}@2")
