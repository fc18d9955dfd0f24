"""The sweep: hands over again whatever was committed and never started. It is the guarantee, the broker only speed."""

from django.conf import settings
from django.db.models import Exists, OuterRef

from recovery import dispatch
from recovery.models import Resumption, State

AT_MOST = 500


def sweep() -> int:
    """Hand over every state that has a job due and no living holder; how many there were."""
    state_ids = (
        Resumption.objects.due()
        .filter(Exists(State.objects.unheld().filter(pk=OuterRef("state_id"))))
        .order_by("not_before")
        .values_list("state_id", flat=True)[:AT_MOST]
    )
    found = list(dict.fromkeys(state_ids))
    for state_id in found:
        # While all workers are busy the next sweeps send it again: the queue must not grow by that.
        dispatch.hand_over(state_id, expires_s=2 * settings.RECOVERY["SWEEP_S"])
    return len(found)
