"""Approves a request in a process of its own: `python -m tests.conformance.decide_in_process REQUEST USERNAME [die]`.

With `die` it is killed right after the commit, before anybody can be told.
"""

import os
import signal
import sys
import uuid

import django
from django.db import transaction


def main(request_id: str, username: str, *options: str) -> None:
    django.setup()
    from django.contrib.auth import get_user_model  # noqa: PLC0415  models are there from here on

    from recovery.services.decide import decide  # noqa: PLC0415

    user = get_user_model().objects.get(username=username)
    with transaction.atomic():
        if "die" in options:
            transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        decide(uuid.UUID(request_id), by=user, kind="approve")


if __name__ == "__main__":
    main(*sys.argv[1:])
