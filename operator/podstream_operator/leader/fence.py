"""The moment up to which this process may write.

An elector that finds out too late that it has lost (its process was stopped, its machine asleep)
cannot stop what is about to be written. So each write asks the fence, and the fence asks a clock.
"""

import sys
import time
from collections.abc import Callable

if sys.platform == "linux":

    def steady_now() -> float:
        """Seconds on a clock that nobody sets and that runs on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:

    def steady_now() -> float:
        """Seconds on a clock that nobody sets."""
        return time.monotonic()


class Fence:
    """Shut at first; the elector opens it for a while with each renewal of the Lease."""

    def __init__(self, *, now: Callable[[], float] = steady_now) -> None:
        self.now = now
        """Seconds on the clock that decides."""
        self._until = float("-inf")

    def open_until(self, moment: float) -> None:
        """Let writes pass up to a moment of `now`."""
        self._until = moment

    def shut(self) -> None:
        """Let nothing pass any more."""
        self._until = float("-inf")

    def is_open(self) -> bool:
        """Whether this process may write at this very moment."""
        return self.now() < self._until
