"""What must hold when nothing is due any more."""

import io
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from django.core.management import CommandError, call_command

from recovery.models import ApprovalRequest, AuditEntry, Decision, Event, Resolution, Resumption, State
from recovery.services import audit
from recovery.services.open_request import digest_of
from recovery.services.questions import proposal_of
from recovery.services.votes import VOTES
from rh_agents.core.approvals import Answer
from rh_agents.core.serialization import decode
from tests.conformance.chaos.courses import steps_of
from tests.conformance.chaos.deciders import CLOCK
from tests.conformance.chaos.pipelines import NOBODY, Carried, Course, Note, notes, outcome

SETTLED = ("decided", "sent_back", "expired", "cancelled", "superseded")
PLAIN_STEPS = ("step", "flaky", "breaks")


class BrokenPromise(AssertionError):
    """What was promised and did not hold; of one state, or of none."""

    def __init__(self, what: str, state_id: uuid.UUID | None = None) -> None:
        self.state_id = state_id
        super().__init__(what)


def check_steps(state_id: uuid.UUID, ran: Iterable[Note], hurt: Collection[int]) -> None:
    """No recorded step ran again; one that ran twice was interrupted by a kill before its record was committed.

    `hurt` are the ids of the processes, and process groups, that were killed or stopped.
    """
    by_key: dict[str, list[Note]] = defaultdict(list)
    for note in ran:
        by_key[note.key].append(note)
    for key, times in by_key.items():
        for note in times:
            if note.was_recorded and not _was_hurt(note, hurt):
                raise BrokenPromise(f"the step {key} ran again though it was recorded", state_id)
        for note in times[:-1]:
            if not _was_hurt(note, hurt):
                raise BrokenPromise(
                    f"the step {key} ran {len(times)} times, and process {note.pid} was not hurt", state_id
                )
        if len({(note.word, note.value) for note in times}) > 1:
            raise BrokenPromise(f"the step {key} ran with different values", state_id)


def _was_hurt(note: Note, hurt: Collection[int]) -> bool:
    return note.pid in hurt or note.group in hurt


def check_run(state: State, course: Course, hurt: Collection[int]) -> None:
    """The run ended or waits for an open request, and what ran is what was decided."""
    ran = notes(course.folder)
    own = [note for note in ran if note.key.startswith(f"{state.pk}:")]
    check_steps(state.pk, own, hurt)
    requests = list(ApprovalRequest.objects.filter(state=state))
    _check_end(state, requests)
    carried = [_carried_by(request) for request in requests if not request.is_open and _has_reached(request)]
    if state.pipeline == "chaos-course":
        _check_fork(state, own)
        # Answers that a fork has kept are no requests of its own.
        carried = [outcome(event.actor, decode(event.result)) for event in _completed(state, is_decision=True)]
    allowed = Counter((one.word, one.value) for one in carried)
    allowed.update((f"{stage.kind}:{stage.name}", "") for stage in steps_of(course.stages) if stage.kind in PLAIN_STEPS)
    if strange := Counter({note.key: (note.word, note.value) for note in own}.values()) - allowed:
        raise BrokenPromise(f"what ran and nobody decided: {sorted(strange)}", state.pk)
    if state.status != "cancelled":
        _check_whole(state, ran, allowed)


def _check_end(state: State, requests: list[ApprovalRequest]) -> None:
    waits = [request for request in requests if request.is_open]
    if bool(waits) != (state.status == "awaiting"):
        raise BrokenPromise(f"the run is {state.status}, and {len(waits)} requests are open", state.pk)
    if any(not request.title.endswith(NOBODY) for request in waits):
        raise BrokenPromise("somebody could have decided what waits", state.pk)
    stopped = any((request.outcome, request.on_expire) == ("expire", "cancel") for request in requests)
    if (state.status == "cancelled") != (stopped or state.superseded_by_id is not None):
        raise BrokenPromise(f"the run is {state.status}", state.pk)
    if state.status not in ("completed", "awaiting", "cancelled"):
        raise BrokenPromise(f"the run is {state.status} in the end", state.pk)


def _check_whole(state: State, ran: list[Note], allowed: Counter[tuple[str, str]]) -> None:
    """Every step of the run is recorded, and ran: in it, or in the run that it is a fork of."""
    by_key = {note.key: (note.word, note.value) for note in ran}
    line = list(_line_of(state))
    recorded: Counter[tuple[str, str]] = Counter()
    for event in _completed(state, is_decision=False):
        keys = [key for state_id in line if (key := f"{state_id}:{event.address}") in by_key]
        if not keys:
            raise BrokenPromise(f"{event.address} is recorded and never ran", state.pk)
        recorded[by_key[keys[0]]] += 1
    if recorded != allowed:
        raise BrokenPromise(
            f"what was decided and did not run: {sorted(allowed - recorded)}; "
            f"what is recorded and was not decided: {sorted(recorded - allowed)}",
            state.pk,
        )


def _line_of(state: State | None) -> Iterable[uuid.UUID]:
    while state is not None:
        yield state.pk
        state = state.parent


def _completed(state: State, *, is_decision: bool) -> list[Event]:
    events = Event.objects.current().filter(state=state, status="completed").order_by("position")
    decisions = {"event_type": Event.Kind.DECISION}
    return list(events.filter(**decisions) if is_decision else events.exclude(**decisions))


def _check_fork(state: State, own: list[Note]) -> None:
    """It has kept nothing from where it was sent back to on, and what it has kept did not run again."""
    if state.parent is None:
        return
    again = {note.key.partition(":")[2] for note in own}
    before = {event.address: event for event in Event.objects.current().filter(state=state.parent)}
    target = before[state.forked_from_address]
    for event in Event.objects.filter(state=state, added_in=1, status="completed"):
        if event.address in again and event.removed_in is None:
            raise BrokenPromise(f"{event.address} was kept, and ran again", state.pk)
        kept = before[event.address]
        if kept.position >= target.position:
            raise BrokenPromise(f"{event.address} was kept, though it came after {target.address}", state.pk)
        if kept.result != event.result:
            raise BrokenPromise(f"{event.address} was kept with another result", state.pk)


def _has_reached(request: ApprovalRequest) -> bool:
    """Whether the run has the answer: one that was ended, or goes on elsewhere, needs none."""
    return request.outcome not in ("supersede", "request_changes") and not (
        request.state.status == "cancelled" and _job_of(request).status in ("undone", "done")
    )


def _standing_of(request: ApprovalRequest) -> Resolution:
    standing = list(Resolution.objects.filter(request=request, undone_at__isnull=True))
    if len(standing) != 1:
        raise BrokenPromise(f"request {request.pk} has {len(standing)} resolutions that count", request.state_id)
    return standing[0]


def _job_of(request: ApprovalRequest) -> Resumption:
    jobs = list(Resumption.objects.filter(resolution=_standing_of(request)))
    if len(jobs) != 1:
        raise BrokenPromise(f"request {request.pk} has {len(jobs)} jobs", request.state_id)
    return jobs[0]


def _carried_by(request: ApprovalRequest) -> Carried:
    """What the resolution of `request` lets run; there is one, carried once."""
    resolution = _standing_of(request)
    # A run that failed failed its job, and was retried by another.
    if (status := _job_of(request).status) not in ("done", "failed"):
        raise BrokenPromise(f"the job that carries request {request.pk} is {status}", request.state_id)
    version = request.versions.get(number=resolution.version)
    if {version.digest, resolution.digest} != {digest_of(request.action, version.args)}:
        raise BrokenPromise(f"the digest of request {request.pk} is not that of what was decided", request.state_id)
    answer: Answer = decode(resolution.answer)
    if answer.kind in ("approve", "edit") and answer.proposal != proposal_of(version):
        raise BrokenPromise(f"request {request.pk} was answered with another proposal", request.state_id)
    if not request.is_manual:
        _check_answered(request, answer)
    return outcome(request.title, answer)


def _check_answered(request: ApprovalRequest, answer: Answer) -> None:
    [event] = Event.objects.current().filter(state_id=request.state_id, address=request.address)
    if (event.status, event.generation) != ("completed", request.generation):
        raise BrokenPromise(f"the answer to request {request.pk} is not in the history", request.state_id)
    if outcome(request.title, decode(event.result)) != outcome(request.title, answer):
        raise BrokenPromise(f"the history has another answer to request {request.pk}", request.state_id)


def check_acts(acts: Iterable[dict[str, Any]]) -> None:
    """What people were told is what is written down."""
    undone: Counter[str] = Counter()
    for act in acts:
        if act["outcome"] == "error":
            raise BrokenPromise(f"somebody who decided got an error:\n{act['error']}")
        if act["outcome"] == "accepted":
            _check_accepted(act)
        if act["outcome"] == "undone":
            undone[act["request"]] += 1
    for request_id, times in undone.items():
        taken_back = Decision.objects.filter(request_id=request_id, kind="undo", refusal="")
        # Of a decider that was killed, the last act is not known.
        if taken_back.count() < times:
            state_id = ApprovalRequest.objects.values_list("state_id", flat=True).get(pk=request_id)
            raise BrokenPromise(
                f"request {request_id} was undone {times} times, and that is not written down", state_id
            )


def _check_accepted(act: dict[str, Any]) -> None:
    decision = Decision.objects.select_related("request", "actor").get(pk=act["decision"])
    by = decision.actor.username if decision.actor else CLOCK
    written = (str(decision.request_id), by, decision.kind, decision.comment, decision.refusal)
    if written != (act["request"], act["by"], act["kind"], act["comment"], ""):
        raise BrokenPromise(f"{act} is written down as {written}", decision.request.state_id)
    if act["settles"] and not Resolution.objects.filter(decision=decision).exists():
        raise BrokenPromise(f"{act} has settled nothing", decision.request.state_id)
    for name in ("proposal", "response"):
        if name in act and decode(decision.payload).model_dump() != act[name]:
            raise BrokenPromise(f"{act} is written down with {decision.payload}", decision.request.state_id)


def check_audit() -> None:
    """The chain verifies, and speaks of everything that was decided and refused."""
    broken = list(audit.broken_links())
    if broken:
        raise BrokenPromise(f"the audit is broken: {broken[:5]}")
    try:
        call_command("verify_audit", stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError as error:
        raise BrokenPromise(f"verify_audit: {error}") from error
    entries = Counter(AuditEntry.objects.values_list("action", flat=True))
    said = {
        "settled": sum(entries[action] for action in SETTLED),
        **{action: entries[action] for action in ("refused", "undone", "voted", "opened", "started", "forked")},
    }
    acts = Decision.objects.filter(refusal="")
    known = {
        "settled": Resolution.objects.count(),
        "refused": Decision.objects.exclude(refusal="").count(),
        "undone": Resolution.objects.filter(undone_at__isnull=False).count(),
        "voted": acts.filter(kind__in=VOTES, resolution=None).count(),
        "opened": ApprovalRequest.objects.count(),
        "started": State.objects.filter(parent=None).count(),
        "forked": State.objects.exclude(parent=None).count(),
    }
    if said != known:
        raise BrokenPromise(f"the audit speaks of {said}, and there are {known}")
