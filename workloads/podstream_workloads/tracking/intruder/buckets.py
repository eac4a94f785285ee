"""Token buckets: how often something may happen, with room for bursts."""

import asyncio
import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` things happen per second, `burst` at once; 0 for `rate` lets everything."""

    def __init__(
        self, rate: float, *, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._left = self._burst
        self._at = clock()

    def take(self) -> bool:
        """Take a token where there is one."""
        if self._rate <= 0:
            return True
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def taken(self) -> None:
        """Wait for a token and take it."""
        while not self.take():  # noqa: ASYNC110 - time itself is waited for
            await asyncio.sleep(self.wait_s())

    def wait_s(self) -> float:
        """Seconds until there is a token; 0 where there is one."""
        if self._rate <= 0:
            return 0.0
        self._refill()
        return max(0.0, (1 - self._left) / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
