"""The real settings, with the pipelines of these benchmarks: what every process of `decide.py` runs with."""

from rhdashboard.settings import *  # noqa: F403
from rhdashboard.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
