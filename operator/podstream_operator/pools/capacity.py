"""How many more pods may a pool have? Counted and reserved in one step.

Pods of a pool are created from two sides: by the pool itself, and for a session that names it.
Between the question and the API server's answer other reconciles run, so a pod that is being
created holds its place already.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from podstream_core.api import PoolKey, StreamPool
from podstream_operator.clock import Clock
from podstream_operator.cluster import Cache
from podstream_operator.pools.classify import LIVE, pods_of_pool
from podstream_operator.pools.view import WarmView


class Capacity:
    """Owns the places of pods that are being created."""

    def __init__(self, *, cache: Cache, warm: WarmView, clock: Clock) -> None:
        self._cache = cache
        self._warm = warm
        self._clock = clock
        self._pending: Counter[PoolKey] = Counter()

    def has_room(self, pool: StreamPool) -> bool:
        """Whether `spec.max` allows another pod."""
        pods = pods_of_pool(
            pool.key, shape="", cache=self._cache, warm=self._warm, now=self._clock.now()
        )
        live = sum(1 for pooled in pods if pooled.use in LIVE)
        return live + self._pending[pool.key] < pool.spec.max

    @contextmanager
    def place(self, pool: StreamPool) -> Iterator[bool]:
        """Hold a place while a pod is created; false where there is none."""
        has_room = self.has_room(pool)
        if has_room:
            self._pending[pool.key] += 1
        try:
            yield has_room
        finally:
            if has_room:
                self._pending[pool.key] -= 1
