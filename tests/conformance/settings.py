"""The real settings, with the pipelines of these tests: what the processes run that a test starts."""

from rhdashboard.settings import *  # noqa: F403
from rhdashboard.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.conformance", "tests.conformance.chaos"]
