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

from recovery.errors import InvalidInput, Refused
from recovery.models import ApprovalRequest, State
from recovery.services.decide import decide
from recovery.services.questions import allowed_kinds, current_version, question_of
from recovery.services.retry import NotRetryable, retry
from tests.conformance.chaos.pipelines import NOBODY

PAUSE_S = 0.2
PEOPLE = ("ada", "grace", "linus")
# May sign in, and decide nothing.
STRANGER = "mallory"


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
        act = self._draw(request)
        clicks = 2 if act["idempotency_key"] and self.random.random() < 0.5 else 1
        with ThreadPoolExecutor(clicks) as pool:
            outcomes = list(pool.map(lambda _: self._click(request, act), range(clicks)))
        accepted = {outcome for outcome in outcomes if isinstance(outcome, int)}
        if len(accepted) > 1:
            raise AssertionError(f"one click on request {request.pk} was accepted as the decisions {accepted}")

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
        draw = self.random
        number = draw.randrange(1, 1_000_000)
        act: dict[str, Any] = {
            "by": draw.choice(PEOPLE) if draw.random() < 0.95 else STRANGER,
            "kind": draw.choice(allowed_kinds(request, question_of(request))),
            "comment": f"c{number}",
            "idempotency_key": f"k{number}" if draw.random() < 0.5 else "",
            "seen_version": None,
        }
        if draw.random() < 0.8:
            act["seen_version"] = current_version(request).number + (draw.random() < 0.1)
        if act["kind"] == "edit":
            act["proposal"] = {"to": f"to-{number}", "amount": 0 if draw.random() < 0.05 else number}
        if act["kind"] == "respond":
            act["response"] = {"number": 0 if draw.random() < 0.05 else number}
        return act

    def _click(self, request: Any, act: dict[str, Any]) -> int | str:
        """The id of the decision, or why there is none."""
        user = get_user_model().objects.get(username=act["by"])
        said = {"request": str(request.pk), **act}
        try:
            decision = decide(request.pk, **{**act, "by": user}).decision.pk
        except Refused as refused:
            self.ledger.write(**said, outcome=refused.code)
            return refused.code
        except InvalidInput:
            self.ledger.write(**said, outcome="invalid")
            return "invalid"
        finally:
            connections.close_all()
        self.ledger.write(**said, outcome="accepted", decision=decision)
        return int(decision)

    def _retry(self) -> None:
        failed = list(State.objects.with_status("failed").values_list("pk", flat=True)[:5])
        for state_id in failed:
            try:
                retry(state_id, by=get_user_model().objects.get(username=self.random.choice(PEOPLE)))
                self.ledger.write(outcome="retried", state=str(state_id))
            except NotRetryable:
                self.ledger.write(outcome="not_retryable", state=str(state_id))
