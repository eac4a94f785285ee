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
        self._counted: dict[PoolKey, tuple[int, int]] = {}
        """Live pods, and at which value of the cache's `changes` they were counted."""

    def has_room(self, pool: StreamPool) -> bool:
        """Whether `spec.max` allows another pod."""
        allowed = pool.spec.max - self._pending[pool.key]
        # Far from its limit a pool need not be counted, however large it is.
        return self._cache.pool_size(pool.key) < allowed or self._live(pool) < allowed

    def _live(self, pool: StreamPool) -> int:
        """Pods that count; the same number until a session or pod changes."""
        changes, live = self._counted.get(pool.key, (-1, 0))
        if changes != self._cache.changes:
            pods = pods_of_pool(
                pool.key, shape="", cache=self._cache, warm=self._warm, now=self._clock.now()
            )
            live = sum(1 for pooled in pods if pooled.use in LIVE)
            self._counted[pool.key] = self._cache.changes, live
        return live

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
