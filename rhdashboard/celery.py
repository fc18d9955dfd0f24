"""The Celery application; its settings are the CELERY_* names of the Django settings."""

import os

from celery import Celery

from rhdashboard import file_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rhdashboard.settings")

file_broker.install()
app = Celery("rhdashboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
