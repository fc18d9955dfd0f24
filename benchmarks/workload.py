"""The steps that every contender runs: results of about 1 KB, the same for all."""

import random
from collections.abc import Sequence

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda my ny xi omicron pi rho sigma tau".split()


def results(count: int) -> list[dict[str, object]]:
    """About 1 030 bytes of JSON each."""
    rng = random.Random(7)
    made: list[dict[str, object]] = []
    for number in range(count):
        text = ""
        while len(text) < 980:
            text += f"{rng.choice(WORDS)}-{rng.randrange(10**6)} "
        made.append({"step": number, "text": text[:980], "score": rng.random()})
    return made


def last_to_first_tenth(ends: Sequence[float], started: float) -> float:
    """How much longer the last tenth of the steps took than the first; `ends` are the times when each was done."""
    tenth = max(1, len(ends) // 10)
    return (ends[-1] - ends[-tenth - 1]) / (ends[tenth - 1] - started)
