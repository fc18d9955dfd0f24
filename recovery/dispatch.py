"""Handing work to Celery, after the commit. The outbox row is what counts: a lost message costs one sweep."""

import logging
import uuid
from collections.abc import Sequence
from typing import Any

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined]  # not in its stubs yet
from celery import current_app
from celery.exceptions import WorkerShutdown, WorkerTerminate
from django.db import transaction

logger = logging.getLogger(__name__)

WORK_ON_STATE = "recovery.work_on_state"
TELL = "recovery.tell"
_GRACE_S = 0.1
# Who is told later than that is told of something else.
_WORTH_TELLING_S = 3600


def hand_over(state_id: uuid.UUID, *, in_s: float = 0, expires_s: float | None = None) -> None:
    """Ask a worker, once the current transaction is committed, to look at the jobs of a state: in `in_s` seconds.

    After `expires_s` the message is worth nothing any more.
    """
    transaction.on_commit(lambda: _send(state_id, in_s, expires_s))


def _send(state_id: uuid.UUID, in_s: float, expires_s: float | None) -> None:
    try:
        options: dict[str, Any] = {} if expires_s is None else {"expires": expires_s}
        if in_s > 0:
            # A moment later than the job may start: a worker that comes too early would leave it to the sweep.
            options["countdown"] = in_s + _GRACE_S
        current_app.signature(WORK_ON_STATE, args=[str(state_id)]).apply_async(**options)
    except Exception:  # the decision is committed whatever the broker does; the sweep hands it over again
        logger.warning("the broker did not take the work on state %s; the sweep will", state_id, exc_info=True)


def tell(about: str, pk: Any, people: Sequence[Any] = ()) -> None:
    """Have a worker tell people, once the current transaction is committed; see `services.notify`."""
    transaction.on_commit(lambda: _send_tell(about, pk, people))


def _send_tell(about: str, pk: Any, people: Sequence[Any]) -> None:
    try:
        signature = current_app.signature(TELL, args=[about, str(pk), list(people)])
        signature.apply_async(expires=_WORTH_TELLING_S)
    except Exception:  # what happened is committed; nobody has to be told for it to hold
        logger.warning("the broker did not take a %s about %s; nobody is told", about, pk, exc_info=True)


def ends_the_worker(raised: BaseException) -> bool:
    """Whether `raised` is how Celery ends this process (a pool that is terminated, a shutdown that does not wait), and
    not the doing of the run that it came through."""
    if isinstance(raised, WorkerShutdown | WorkerTerminate):
        return True
    return isinstance(raised, SystemExit) and terminate_handler_fired()
