"""Runs written down step by step as the engine would, at times of their own, for timelines that can be read."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from recovery.backends import DjangoArtifactBackend, DjangoStateBackend
from recovery.models import ApprovalRequest, Decision, Resolution, State
from rh_agents.core.approvals import Answer, Question
from rh_agents.core.serialization import artifact_id, encode, encode_artifact, fingerprint
from rh_agents.core.state_recovery import Changes, Entry, EventRecord, StateMetadata, StateStatus, Write
from rh_agents.core.types import ExecutionStatus

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/rh_agents/core/attempt.py", line 84, in run
    result = await self.actor.perform(input_data, context, state)
  File "/srv/app/shop/pipelines.py", line 88, in card_refund
    reply = await gateway.refund(order.payment_id, amount=args.amount)
  File "/usr/lib/python3.11/asyncio/tasks.py", line 489, in wait_for
    return fut.result()
shop.gateway.GatewayError: 502 upstream_timeout (payment pay_3Lx0Qd)
"""


class Told:
    """A run as it is told: steps, questions, and saves, each at a number of seconds after its beginning."""

    def __init__(
        self, description: str = "Refund for order SE-204417", *, tags: Any = (), pipeline: str = "refunds"
    ) -> None:
        self.state_id = uuid.uuid4()
        self.began = datetime.now(UTC) - timedelta(hours=2)
        self._backend = DjangoStateBackend(author="worker")
        self._metadata: StateMetadata | None = StateMetadata(
            description=description, tags=list(tags), pipeline_name=pipeline
        )
        self._number = self._clock = 0
        self._events: list[EventRecord] = []
        self._closed: list[int] = []
        self._storage: dict[str, Entry | None] = {}
        self._artifacts: dict[str, Entry | None] = {}

    def tick(self) -> int:
        self._clock += 1
        return self._clock

    def step(
        self,
        address: str,
        start: float,
        took: float,
        *,
        result: Any = None,
        error: str = "",
        attempt: int = 1,
        position: int | None = None,
        storage: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, Any] | None = None,
        actor: str = "",
    ) -> "Told":
        """One attempt that ended; with `error` it failed. `position` for a step that began before others ended."""
        *path, kind = address.split("::")
        writes = {key: Write(self.tick(), encode(value)) for key, value in (storage or {}).items()}
        kept = {key: self._kept(key, value) for key, value in (artifacts or {}).items()}
        self._events.append(
            EventRecord(
                position=self.tick() if position is None else position,
                address=address,
                event_type=kind.partition("#")[0],
                actor=actor or path[-1].partition("[")[0].partition("#")[0],
                status=ExecutionStatus.FAILED if error else ExecutionStatus.COMPLETED,
                attempt=attempt,
                started_at=self._at(start).timestamp(),
                execution_time=took,
                fingerprint=fingerprint(address),
                result_text=None if error else encode(result),
                error_type="GatewayError" if error else "",
                error_message=error,
                traceback=TRACEBACK if error else "",
                storage_writes=writes or None,
                artifact_writes=kept or None,
            )
        )
        self._storage |= {key: Entry(write.seq, write.text or "", address) for key, write in writes.items()}
        self._artifacts |= {
            key: Entry(write.seq, write.text or "", address, write.media_type, write.size)
            for key, write in kept.items()
        }
        return self

    def asked(self, address: str, start: float, title: str = "Refund it?", *, at: float | None = None) -> "Told":
        """A question, saved at once (`at`), which opens its request."""
        self._question = self._decision(address, start, ExecutionStatus.AWAITING, 0.0, Question(key="q", title=title))
        self._events.append(self._question)
        return self.save(start if at is None else at, "awaiting")

    def answered(self, after: float, kind: str = "approve") -> "Told":
        """The answer to the question before, so many seconds later; the run goes on."""
        asked, when = self._question, self._at(self._question.started_at - self.began.timestamp() + after)
        answer = Answer(kind=kind, decided_at=when)
        request = ApprovalRequest.objects.get(state_id=self.state_id, address=asked.address)
        decision = Decision.objects.create(request=request, kind=kind, actor_name="Grace", created_at=when)
        Resolution.objects.create(
            request=request, decision=decision, outcome=kind, answer=encode(answer), created_at=when
        )
        ApprovalRequest.objects.filter(pk=request.pk).update(outcome=kind, resolved_at=when)
        self._closed.append(asked.position)
        given = self._decision(asked.address, 0.0, ExecutionStatus.COMPLETED, after, answer, asked.position)
        given.started_at = asked.started_at
        self._events.append(given)
        return self

    def _decision(
        self, address: str, start: float, status: ExecutionStatus, took: float, value: Any, position: int | None = None
    ) -> EventRecord:
        return EventRecord(
            position=self.tick() if position is None else position,
            address=address,
            event_type="decision",
            actor=address.split("::")[-2],
            status=status,
            started_at=self._at(start).timestamp(),
            execution_time=took,
            result_text=encode(value),
        )

    def save(self, at: float, status: str = "running") -> "Told":
        """A checkpoint with everything since the last one."""
        when = self._at(at)
        self._number = self._backend.append(
            Changes(
                state_id=str(self.state_id),
                base=self._number,
                status=StateStatus(status),
                created_at=self.began,
                updated_at=when,
                metadata=self._metadata,
                events=self._events,
                closed=self._closed,
                storage=self._storage,
                artifacts=self._artifacts,
                clock=self._clock,
            )
        )
        self._metadata = None
        self._events, self._closed, self._storage, self._artifacts = [], [], {}, {}
        return self

    @property
    def state(self) -> State:
        return State.objects.get(pk=self.state_id)

    @property
    def url(self) -> str:
        return f"/states/{self.state_id}/"

    def _at(self, seconds: float) -> datetime:
        return self.began + timedelta(seconds=seconds)

    def _kept(self, key: str, value: Any) -> Write:
        encoded = encode_artifact(value, key=key)
        identity = artifact_id(encoded)
        DjangoArtifactBackend().save_encoded(identity, *encoded)
        return Write(self.tick(), identity, encoded.media_type, len(encoded.payload))


def failed_refund(**options: Any) -> Told:
    """Nested agents, siblings side by side, a step tried again, an hour of waiting, and a failure after three tries."""
    told = Told(tags=["eu", "vip"], **options)
    wait = 72 * 60.0
    told.step("collect::order_lookup::tool_call", 0.1, 0.8, result={"order": "SE-204417", "paid": "1240.00"}).save(0.9)
    told.step("collect::carrier_lookup::tool_call", 0.9, 0.8, error="503 try later")
    told.step("collect::carrier_lookup::tool_call", 2.2, 1.2, attempt=2, result="left with a neighbour").save(3.4)
    told.step(
        "collect::ledger::tool_call", 3.4, 0.4, artifacts={"ledger.csv": "date,amount\n2026-11-12,-60.00\n"}
    ).save(3.8)
    assess = "collect::assess_claim_history_of_customer_across_regions"
    for branch, took in enumerate((1.9, 2.6, 1.2)):
        told.step(f"{assess}::fraud_score[{branch}]::llm_call", 3.9, took, result=took / 10).save(3.9 + took)
    told.step(f"{assess}::agent_call", 3.8, 3.1, result={"score": 0.19}, position=told.tick()).save(6.9)
    told.step(
        "collect::agent_call", 0.1, 6.8, result={"claim": "DHL-77120"}, storage={"claim": {"id": "DHL-77120"}}
    ).save(6.9)
    told.step("draft::llm_call", 6.9, 2.5, result="We are sorry …").save(9.4)
    told.asked("refund::decision", 9.6).answered(wait)
    after = 9.6 + wait
    told.save(after + 0.1)
    told.step("issue::reserve::tool_call", after + 0.2, 0.9, result="rsv_1").save(after + 1.1)
    told.step("issue::ledger_entry::tool_call", after + 1.2, 0.6, result=7).save(after + 1.8)
    told.step("issue::card_refund::fallback_bank_transfer::tool_call", after + 12.8, 0.2, result=None)
    for attempt, start in enumerate((1.9, 5.0, 11.0), start=1):
        message = "502 upstream_timeout (payment pay_3Lx0Qd)"
        told.step("issue::card_refund::tool_call", after + start, 2.1, attempt=attempt, error=message)
    told.step("issue::agent_call", after + 0.1, 14.4, error="502 upstream_timeout (payment pay_3Lx0Qd)")
    return told.save(after + 14.6, "failed")
