"""Sending a run back: it goes on as a fork, from the step that the reviewer named; the original is superseded."""

import uuid

from django.db import transaction
from django.utils import timezone

from recovery import dispatch
from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.errors import LeaseLost
from recovery.models import ApprovalRequest, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.answers import SentBack
from recovery.services.deliver import apply_decisions
from recovery.services.end_state import end_state
from recovery.services.lease import Lease
from recovery.services.settle import close
from rh_agents.core.approvals import Answer, Instruction
from rh_agents.core.execution import ExecutionState
from rh_agents.core.serialization import decode, encode
from rh_agents.core.state_recovery import StateStatus

# Named by what it is made for, so that a worker that dies in between leaves nothing that is made twice.
_FORKS = uuid.UUID("8a0c8dc5-3a92-4d0e-9a5e-0a4c1b6d2f5e")


def go_back(lease: Lease, job: Resumption, job_ids: list[int]) -> State:
    """Carry out a `request_changes`: make the fork, queue it, and end the original with whatever it still asked.

    All in one transaction, on the worker that holds the original.

    Raises:
        LeaseLost: another worker holds it.
        RhAgentsError: the original cannot be forked there.
        DigestMismatch: what was decided beside it is not what was decided any more.
    """
    resolution = Resolution.objects.select_related("decision__actor", "request").get(resumption=job)
    with transaction.atomic():
        original = State.objects.select_for_update(no_key=True).get(pk=lease.state_id)
        if original.fence != lease.fence:
            raise LeaseLost(f"state {lease.state_id} was taken over")
        if _take_in_answers(original, lease):
            original.refresh_from_db()
        child = _fork(original, resolution)
        end_state(original, StateStatus.CANCELLED, DjangoStateBackend(fence=lease.fence, author="worker"))
        State.objects.filter(pk=original.pk).update(superseded_by=child)
        ours = Resumption.objects.filter(pk__in=job_ids, fence=lease.fence)
        ours.update(status=Resumption.Status.DONE, finished_at=timezone.now(), last_error="")
        # What was decided beside it and not carried out yet is not carried out any more.
        waiting = Resumption.objects.filter(state=original, status=Resumption.Status.PENDING)
        waiting.update(status=Resumption.Status.UNDONE, finished_at=timezone.now())
        left = ApprovalRequest.objects.select_for_update(of=("self",)).select_related("state").open()
        close(list(left.filter(state=original).order_by("pk")), "supersede")
        audit.record("forked", state_id=child.pk, parent=original.pk, request=resolution.request_id)
    return child


def _take_in_answers(original: State, lease: Lease) -> int:
    """Write what was decided beside it, and taken up with it, into the original: the fork keeps what came before the
    step it goes back to, and nobody is asked that again. How many there were."""
    state = ExecutionState.load_from_state_id(
        str(original.pk), DjangoStateBackend(fence=lease.fence, author="worker"), DjangoArtifactBackend()
    )
    applied = apply_decisions(state).applied
    if applied:
        state.save_checkpoint(StateStatus.RUNNING)
    return applied


def _fork(original: State, resolution: Resolution) -> State:
    decision = resolution.decision
    answer: Answer = decode(resolution.answer)
    place: SentBack = decode(decision.payload)
    now = timezone.now()
    child = State(
        id=uuid.uuid5(_FORKS, str(resolution.pk)),
        pipeline=original.pipeline,
        pipeline_version=original.pipeline_version,
        status=State.Status.PAUSED,
        description=original.description,
        input=original.input if place.inputs is None else encode(place.inputs, where="the input"),
        parent=original,
        forked_from_address=place.address,
        started_by_id=original.started_by_id,
        created_at=now,
        updated_at=now,
    )
    child.save(force_insert=True)
    run = ExecutionState.fork(
        str(original.pk),
        DjangoStateBackend(author=decision.actor_name[:150]),
        DjangoArtifactBackend(),
        from_address=place.address,
        new_state_id=str(child.pk),
        instruction=Instruction(address=place.address, text=answer.comment, by=answer.by, given_at=answer.decided_at),
    )
    run.save_checkpoint(StateStatus.PAUSED)
    Resumption.objects.create(state=child, kind=Resumption.Kind.START, not_before=now, created_at=now)
    dispatch.hand_over(child.pk)
    return child
