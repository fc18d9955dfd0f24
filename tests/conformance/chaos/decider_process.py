"""Somebody who decides in a process of their own, until the file `stop` appears in FOLDER.

python -m tests.conformance.chaos.decider_process SEED FOLDER
"""

import sys
import threading
from pathlib import Path

import django

django.setup()

from tests.conformance.chaos.deciders import Decider  # noqa: E402  models are there from here on

if __name__ == "__main__":
    seed, folder = sys.argv[1], Path(sys.argv[2])
    pause = threading.Event()
    Decider(seed, folder).decide_until(lambda seconds: pause.wait(seconds) or (folder / "stop").exists())
