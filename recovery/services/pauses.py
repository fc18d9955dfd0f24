"""What becomes of a pause: requests are opened for what the run asks, and rules decide those that they match."""

from recovery.services.open_request import match_requests
from recovery.services.rules import decide_by_rules
from rh_agents.core.state_recovery import Changes


def on_checkpoint(state_id: str, changes: Changes, number: int, digest: bytes) -> None:
    """See `DjangoStateBackend`, which calls it inside of the transaction of the checkpoint.

    Raises:
        InvalidInput: a question offers what cannot be carried out.
    """
    for request in match_requests(state_id, changes, number, digest):
        decide_by_rules(request)
