"""Whether this machine's clock can be trusted: it may just have been set forward, and then nothing is over early."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Clocks that are kept right by small corrections gain far less than this in the time that is looked at.
JUMP_S = 5.0


class ClockWatch:
    """Compares the wall clock with the monotonic one whenever it is asked, and remembers what it saw.

    A machine that slept looks like one whose clock was set forward: whoever had to decide could not either.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # (monotonic time, by how much the wall clock was ahead of it), oldest first.
        self._seen: deque[tuple[float, float]] = deque()
        self._warned = False
        self._look()

    def is_steady(self, for_s: float) -> bool:
        """Whether the clock was not set forward within the last `for_s` seconds, as far as this process can tell. A
        jump counts from when it was noticed."""
        with self._lock:
            now, ahead = self._look()
            # One that is old enough is kept: what happened since then is what counts.
            while len(self._seen) > 1 and self._seen[1][0] <= now - for_s:
                self._seen.popleft()
            gained_s = ahead - min(seen for _, seen in self._seen)
            is_steady = gained_s <= JUMP_S
            if not is_steady and not self._warned:
                logger.warning(
                    "this machine's clock was set forward by %.0f s, or the machine slept: no request expires before "
                    "the clock has been steady for %.0f s",
                    gained_s,
                    for_s,
                )
            self._warned = not is_steady
            return is_steady

    def _look(self) -> tuple[float, float]:
        now = self._monotonic()
        self._seen.append((now, self._wall() - now))
        return self._seen[-1]


# Of this process, from its start on.
watch = ClockWatch()
