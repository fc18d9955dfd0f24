"""The Celery application; its settings are the CELERY_* names of the Django settings."""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from django.conf import settings

from rhdashboard import file_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rhdashboard.settings")

file_broker.install()
app = Celery("rhdashboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

logger = logging.getLogger(__name__)


@worker_init.connect
def fit_the_pool(sender: Any, **_: Any) -> None:
    """Before the first connection is made, see that there are enough: a run holds one for as long as it is at work.

    Without `DATABASE_POOL_MAX_SIZE` the pool has two for each run: threads that its code makes need one too.
    """
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    runs = sender.concurrency
    if not isinstance(pool, dict) or not isinstance(runs, int) or _has_processes(sender.pool_cls):
        return
    if not settings.DATABASE_POOL_MAX_SIZE:
        pool["max_size"] = max(pool["max_size"], 2 * runs)
    elif pool["max_size"] < runs:
        logger.warning(
            "%d runs at once have only %d database connections, so that some wait and are then put off: "
            "raise DATABASE_POOL_MAX_SIZE, or lower --concurrency",
            runs,
            pool["max_size"],
        )


def _has_processes(pool_class: Any) -> bool:
    """Whether each of its processes does one run, with a connection pool of its own."""
    return "prefork" in (pool_class if isinstance(pool_class, str) else pool_class.__module__)
