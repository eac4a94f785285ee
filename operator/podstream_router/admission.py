"""Bounds what clients can make the router do at once and per second."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from podstream_router.errors import Overloaded, TooManyRequests

_MAX_SOURCES: Final = 10_000
_BURST_SECONDS: Final = 2.0


class Places:
    """Counts what is open, in total and per source address."""

    def __init__(self, *, total: int, per_source: int) -> None:
        self._total = total
        self._per_source = per_source
        self._taken: defaultdict[str, int] = defaultdict(int)
        self.count = 0

    @contextmanager
    def place(self, source: str) -> Iterator[None]:
        """Take a place while the block runs.

        Raises:
            Overloaded: no place is left.
            TooManyRequests: this source holds too many.
        """
        if self.count >= self._total:
            raise Overloaded(f"{self._total} connections wait or are open here: try again later")
        if self._taken[source] >= self._per_source:
            raise TooManyRequests(f"{self._per_source} connections of {source} wait or are open")
        self.count += 1
        self._taken[source] += 1
        try:
            yield
        finally:
            self.count -= 1
            self._taken[source] -= 1
            if not self._taken[source]:
                del self._taken[source]


class RateLimit:
    """A token bucket per source address; the memory for sources is bounded."""

    def __init__(self, *, per_second: float, clock: Callable[[], float]) -> None:
        self._rate = per_second
        self._burst = max(1.0, per_second * _BURST_SECONDS)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, source: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: the source is over its rate.
        """
        if not self._rate:
            return
        now = self._clock()
        level, at = self._buckets.pop(source, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        admitted = level >= 1
        self._buckets[source] = (level - 1 if admitted else level, now)
        if len(self._buckets) > _MAX_SOURCES:
            self._buckets.popitem(last=False)
        if not admitted:
            raise TooManyRequests(f"more than {self._rate:g} requests per second from {source}")
