"""Wiring of the project: settings, addresses, processes."""

from rhdashboard.celery import app as celery_app

__all__ = ["celery_app"]
