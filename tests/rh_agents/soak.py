"""Many random programs, each killed, failed, answered and sent back: `make soak`. Not a test of every day.

python -m tests.rh_agents.soak --programs 20000 --seed 1
"""

import argparse
import random
import time
from dataclasses import asdict
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.rh_agents import random_lives as lives
from tests.rh_agents.random_lives import CRASHES, SAVED, Tally
from tests.rh_agents.random_programs import programs

SHOWN_EVERY = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given_ = parser.parse_args()
    tally = Tally()
    began = time.monotonic()

    @seed(given_.seed)
    @settings(max_examples=given_.programs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(program=programs, crashes=CRASHES, saved=SAVED, chance=st.integers())
    def soak(program: Any, crashes: set[int], saved: Any, chance: int) -> None:
        drawn = random.Random(chance)
        lives.ends_as_if_nothing_had_happened(program, crashes, saved, drawn.randrange, tally=tally)
        lives.replays_without_doing_anything(program, tally=tally)
        lives.goes_back_and_ends_as_before(program, crashes, drawn.choice, tally=tally)
        tally.programs += 1
        if tally.programs % SHOWN_EVERY == 0:
            print(f"{time.monotonic() - began:6.0f} s  {_words(tally)}", flush=True)

    soak()
    print(f"seed {given_.seed}: {_words(tally)}; all ended as they had to")


def _words(tally: Tally) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in asdict(tally).items())


if __name__ == "__main__":
    main()
