"""What Celery calls: ids in, one service call each, safe to call twice."""

import uuid
from typing import Any

from celery import Task, shared_task

from recovery import dispatch
from recovery.services import attend as attend_service
from recovery.services import notices, notify
from recovery.services import sweep as sweep_service
from recovery.services.work import work_on_state as work

TELL_AGAIN_AFTER_S = (30, 120, 600)


@shared_task(name=dispatch.WORK_ON_STATE, ignore_result=True)
def work_on_state(state_id: str) -> None:
    work(uuid.UUID(state_id))


@shared_task(name="recovery.sweep", ignore_result=True)
def sweep() -> int:
    return sweep_service.sweep()


@shared_task(name="recovery.attend", ignore_result=True)
def attend() -> int:
    return attend_service.attend()


@shared_task(name="recovery.post_notices", ignore_result=True)
def post_notices() -> int:
    return notices.post_notices()


@shared_task(name=dispatch.TELL, ignore_result=True, bind=True, max_retries=len(TELL_AGAIN_AFTER_S))
def tell(self: Task, about: str, pk: str, people: list[Any]) -> None:
    """Those who could not be reached are tried again, and only those."""
    if unreached := notify.send(about, pk, people):
        waits_s = TELL_AGAIN_AFTER_S[min(self.request.retries, len(TELL_AGAIN_AFTER_S) - 1)]
        raise self.retry(args=(about, pk, unreached), countdown=waits_s)
