"""Deciding several requests with one act: each by itself, with a result for each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from recovery.errors import InvalidInput, RecoveryError
from recovery.models import ApprovalRequest
from recovery.services.decide import Outcome, decide

AT_MOST = 100
KINDS = ("approve", "reject", "claim", "release")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A request, and which proposal of it they looked at."""

    request_id: uuid.UUID
    seen_version: int | None = None
    seen_digest: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one of them: `outcome`, or why not. `error` is `None` with an outcome."""

    request_id: uuid.UUID
    outcome: Outcome | None = None
    error: RecoveryError | None = None


def decide_many(
    chosen: Sequence[Chosen], *, by: Any, kind: str, comment: str = "", channel: str = "web", idempotency_key: str = ""
) -> list[Result]:
    """Decide up to `AT_MOST` requests, in their order. One that is refused leaves the others as they are, and is so if
    its risk is above what its policy lets be decided together. A request that is not there is left out.

    Raises:
        InvalidInput: there are too many, or `kind` is none that needs nothing but words.
    """
    if len(chosen) > AT_MOST:
        raise InvalidInput(
            {
                "requests": [
                    gettext("%(count)s are too many at once; at most %(at_most)s.")
                    % {"count": len(chosen), "at_most": AT_MOST}
                ]
            },
            "the decision",
        )
    if kind not in KINDS:
        raise InvalidInput(
            {
                "kind": [
                    gettext("%(kind)s is not for several; there are: %(kinds)s")
                    % {"kind": f"{kind!r}", "kinds": ", ".join(KINDS)}
                ]
            },
            "the decision",
        )
    results = []
    for one in {each.request_id: each for each in chosen}.values():
        try:
            outcome = decide(
                one.request_id,
                by=by,
                kind=kind,
                comment=comment,
                seen_version=one.seen_version,
                seen_digest=one.seen_digest,
                channel=channel,
                idempotency_key=idempotency_key,
                together=True,
            )
            results.append(Result(one.request_id, outcome))
        except ApprovalRequest.DoesNotExist:
            continue
        except RecoveryError as error:
            results.append(Result(one.request_id, error=error))
    return results
