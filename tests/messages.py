"""What the tests of a process send to a real broker is in a queue of that process, which goes with it.

Nobody works on it there; in a queue that others use too, their workers would.
"""

from collections.abc import Iterator

import pytest
from celery import current_app
from kombu import Connection, Exchange, Queue


def forget(queue: str, broker: Connection) -> None:
    """Delete a queue of Celery's and what is in it, on any broker."""
    declared = Queue(queue, Exchange(queue), routing_key=queue)(broker.default_channel)
    declared.declare()  # On Redis only what this connection has declared can be deleted.
    declared.delete()
    declared.exchange.delete()


@pytest.fixture(scope="session", autouse=True)
def _messages_go_too() -> Iterator[None]:
    yield
    if current_app.conf.broker_url == "memory://":
        return
    with current_app.connection_for_write() as broker:
        forget(current_app.conf.task_default_queue, broker)
