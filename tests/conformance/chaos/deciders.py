"""People who decide at random."""

import json
import os
import random
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections

from recovery.errors import InvalidInput, NotUndoable, Refused
from recovery.models import ApprovalRequest, State
from recovery.services.actors import SYSTEM
from recovery.services.decide import decide
from recovery.services.questions import allowed_kinds, current_version, question_of
from recovery.services.retry import NotRetryable, retry
from recovery.services.undo import undo
from tests.conformance.chaos.pipelines import NOBODY

PAUSE_S = 0.2
PEOPLE = ("ada", "grace", "linus")
# May sign in, and decide nothing.
STRANGER = "mallory"
# The time that has run out, which is no person.
CLOCK = "clock"


class Ledger:
    """What one decider did, a line an act. Written after the answer: a decider killed before that wrote nothing."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(self, **act: Any) -> None:
        os.write(self._file, (json.dumps(act) + "\n").encode())

    def close(self) -> None:
        os.close(self._file)


def ledgers(folder: Path) -> list[dict[str, Any]]:
    """All acts of all deciders that wrote into `folder`; of a killed one the last line may be missing."""
    return [json.loads(line) for path in sorted(folder.glob("*.acts")) for line in path.read_text().splitlines()]


class Decider:
    """Clicks on what waits, and now and then on what does not wait any more."""

    def __init__(self, seed: str, folder: Path) -> None:
        self.random = random.Random(seed)
        self.ledger = Ledger(folder / f"{seed}.acts")

    def decide_until(self, is_over: Callable[[float], bool]) -> None:
        """`is_over` waits for so many seconds, unless it is over before."""
        while not is_over(self.random.uniform(0, PAUSE_S)):
            try:
                self._act()
            except Exception:
                self.ledger.write(outcome="error", error=traceback.format_exc())
                break
        self.ledger.close()

    def _act(self) -> None:
        if self.random.random() < 0.1:
            self._retry()
        request = self._some_request()
        if request is None:
            return
        if not request.is_open and self.random.random() < 0.3:
            self._undo(request, self.random.choice(PEOPLE))
            return
        act = self._draw(request)
        clicks = 2 if act["idempotency_key"] and self.random.random() < 0.5 else 1
        with ThreadPoolExecutor(clicks) as pool:
            outcomes = list(pool.map(lambda _: self._click(request, act), range(clicks)))
        accepted = {outcome for outcome in outcomes if isinstance(outcome, int)}
        if len(accepted) > 1:
            raise AssertionError(f"one click on request {request.pk} was accepted as the decisions {accepted}")
        if accepted and act["by"] != CLOCK and self.random.random() < 0.2:
            self._undo(request, act["by"])

    def _some_request(self) -> Any:
        if self.random.random() < 0.1:
            requests = ApprovalRequest.objects.decided().newest_decided_first()
        else:
            requests = ApprovalRequest.objects.open().exclude(title__endswith=NOBODY).order_by("opened_at", "id")
        # Few of them, so that several people come to the same one.
        ids = list(requests.values_list("id", flat=True)[: self.random.choice([2, 30])])
        return ApprovalRequest.objects.filter(pk=self.random.choice(ids)).first() if ids else None

    def _draw(self, request: Any) -> dict[str, Any]:
        """One act, as keyword arguments of `decide`."""
        draw, number = self.random, self.random.randrange(1, 1_000_000)
        act: dict[str, Any] = {
            "by": draw.choice(PEOPLE) if draw.random() < 0.95 else STRANGER,
            "comment": f"c{number}",
            "idempotency_key": f"k{number}" if draw.random() < 0.5 else "",
            "seen_version": None,
        }
        chance = draw.random()
        if chance < 0.03:
            return act | {"by": CLOCK, "kind": "expire"}
        if chance < 0.13:
            return act | {"kind": draw.choice(["comment", "claim", "release", "withdraw"])}
        question = question_of(request)
        kinds = allowed_kinds(request, question)
        kind = draw.choices(kinds, [0.3 if kind == "request_changes" else 1 for kind in kinds])[0]
        if draw.random() < 0.8:
            act["seen_version"] = current_version(request).number + (draw.random() < 0.1)
        if kind == "edit":
            act["proposal"] = {"to": f"to-{number}", "amount": 0 if draw.random() < 0.05 else number}
        if kind == "respond":
            act["response"] = {"number": 0 if draw.random() < 0.05 else number}
        if kind == "request_changes" and question is not None:
            act["to"] = draw.choice(question.change_targets).address
        return act | {"kind": kind}

    def _click(self, request: Any, act: dict[str, Any]) -> int | str:
        """The id of the decision, or why there is none."""
        said = {"request": str(request.pk), **act}
        try:
            outcome = decide(request.pk, **{**act, "by": _person(act["by"])})
        except Refused as refused:
            self.ledger.write(**said, outcome=refused.code)
            return refused.code
        except InvalidInput:
            self.ledger.write(**said, outcome="invalid")
            return "invalid"
        finally:
            connections.close_all()
        settles = outcome.resolution is not None
        self.ledger.write(**said, outcome="accepted", decision=outcome.decision.pk, settles=settles)
        return int(outcome.decision.pk)

    def _undo(self, request: Any, name: str) -> None:
        try:
            undo(request.pk, by=_person(name))
        except NotUndoable as refused:
            self.ledger.write(outcome=refused.code)
        else:
            self.ledger.write(outcome="undone", request=str(request.pk), by=name)

    def _retry(self) -> None:
        failed = list(State.objects.with_status("failed").values_list("pk", flat=True)[:5])
        for state_id in failed:
            try:
                retry(state_id, by=_person(self.random.choice(PEOPLE)))
                self.ledger.write(outcome="retried", state=str(state_id))
            except NotRetryable:
                self.ledger.write(outcome="not_retryable", state=str(state_id))


def _person(name: str) -> Any:
    return SYSTEM if name == CLOCK else get_user_model().objects.get(username=name)
