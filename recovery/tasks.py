"""What Celery calls: ids in, one service call each, safe to call twice."""

import uuid

from celery import shared_task

from recovery import dispatch
from recovery.services import sweep as sweep_service
from recovery.services.work import work_on_state as work


@shared_task(name=dispatch.WORK_ON_STATE, ignore_result=True)
def work_on_state(state_id: str) -> None:
    work(uuid.UUID(state_id))


@shared_task(name="recovery.sweep", ignore_result=True)
def sweep() -> int:
    return sweep_service.sweep()
