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
from rh_agents.core.approvals import Answer
from rh_agents.core.serialization import decode
from tests.conformance.chaos.courses import steps_of
from tests.conformance.chaos.pipelines import NOBODY, Course, Note, notes, outcome

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


def check_run(state_id: uuid.UUID, course: Course, hurt: Collection[int]) -> None:
    """The run ended or waits for an open request, and what ran is what was decided."""
    ran = notes(course.folder)
    check_steps(state_id, ran, hurt)
    state = State.objects.get(pk=state_id)
    requests = list(ApprovalRequest.objects.filter(state=state))
    waits = [request for request in requests if request.is_open]
    if state.status not in ("completed", "awaiting") or bool(waits) != (state.status == "awaiting"):
        raise BrokenPromise(f"the run is {state.status}, and {len(waits)} requests are open", state_id)
    if any(not request.title.endswith(NOBODY) for request in waits):
        raise BrokenPromise("somebody could have decided what waits", state_id)
    if state.lease_until is not None:
        raise BrokenPromise("nobody works on it, and it is leased", state_id)
    expected = Counter({(f"{stage.kind}:{stage.name}", "") for stage in _plain_steps(course)})
    for request in requests:
        if not request.is_open:
            expected[_carried_by(request)] += 1
    distinct = Counter({note.key: (note.word, note.value) for note in ran}.values())
    if distinct != expected:
        raise BrokenPromise(
            f"what was decided and did not run: {sorted(expected - distinct)}; "
            f"what ran and nobody decided: {sorted(distinct - expected)}",
            state_id,
        )


def _plain_steps(course: Course) -> list[Any]:
    return [stage for stage in steps_of(course.stages) if stage.kind in PLAIN_STEPS]


def _carried_by(request: ApprovalRequest) -> tuple[str, str]:
    """The word and value of the step that the resolution of `request` lets run; there is one, carried once."""
    standing = list(Resolution.objects.filter(request=request, undone_at__isnull=True))
    if len(standing) != 1:
        raise BrokenPromise(f"request {request.pk} has {len(standing)} resolutions that count", request.state_id)
    [resolution] = standing
    jobs = list(Resumption.objects.filter(resolution=resolution).values_list("status", flat=True))
    # A run that failed failed its job, and was retried by another.
    if jobs not in (["done"], ["failed"]):
        raise BrokenPromise(f"the jobs that carry request {request.pk} are {jobs}", request.state_id)
    version = request.versions.get(number=resolution.version)
    if {version.digest, resolution.digest} != {digest_of(request.action, version.args)}:
        raise BrokenPromise(f"the digest of request {request.pk} is not that of what was decided", request.state_id)
    answer: Answer = decode(resolution.answer)
    if answer.kind in ("approve", "edit") and answer.proposal != proposal_of(version):
        raise BrokenPromise(f"request {request.pk} was answered with another proposal", request.state_id)
    if not request.is_manual:
        _check_answered(request, answer)
    carried = outcome(request.title, answer)
    return carried.word, carried.value


def _check_answered(request: ApprovalRequest, answer: Answer) -> None:
    [event] = Event.objects.current().filter(state_id=request.state_id, address=request.address)
    if (event.status, event.generation) != ("completed", request.generation):
        raise BrokenPromise(f"the answer to request {request.pk} is not in the history", request.state_id)
    if decode(event.result).kind != answer.kind:
        raise BrokenPromise(f"the history has another answer to request {request.pk}", request.state_id)


def check_acts(acts: Iterable[dict[str, Any]]) -> None:
    """What people were told is what is written down."""
    accepted: dict[str, set[int]] = defaultdict(set)
    for act in acts:
        if act["outcome"] == "error":
            raise BrokenPromise(f"somebody who decided got an error:\n{act['error']}")
        if act["outcome"] == "accepted":
            accepted[act["request"]].add(act["decision"])
            _check_accepted(act)
    for request_id, decisions in accepted.items():
        if len(decisions) > 1:
            state_id = ApprovalRequest.objects.values_list("state_id", flat=True).get(pk=request_id)
            raise BrokenPromise(f"request {request_id} was settled by {decisions}", state_id)


def _check_accepted(act: dict[str, Any]) -> None:
    decision = Decision.objects.select_related("request", "actor", "resolution").get(pk=act["decision"])
    answer: Answer = decode(decision.resolution.answer)
    said = {
        "request": str(decision.request_id),
        "by": decision.actor.username,
        "kind": decision.kind,
        "comment": decision.comment,
        "refusal": decision.refusal,
    }
    if said != {**{name: act[name] for name in said if name != "refusal"}, "refusal": ""}:
        raise BrokenPromise(f"{act} is written down as {said}", decision.request.state_id)
    if "proposal" in act and answer.proposal.model_dump() != act["proposal"]:
        raise BrokenPromise(f"{act} carries {answer.proposal!r}", decision.request.state_id)
    if "response" in act and answer.response.model_dump() != act["response"]:
        raise BrokenPromise(f"{act} carries {answer.response!r}", decision.request.state_id)


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
    refused = Decision.objects.exclude(refusal="").count()
    decided = Resolution.objects.count()
    if (entries["refused"], entries["decided"]) != (refused, decided):
        raise BrokenPromise(f"{decided} decided and {refused} refused, and the audit has {dict(entries)}")
    if entries["opened"] != ApprovalRequest.objects.count() or entries["started"] != State.objects.count():
        raise BrokenPromise(f"the audit does not speak of every run and request: {dict(entries)}")
