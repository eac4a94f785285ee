"""Pools by key and listener."""

from podstream_core.api import PoolKey
from podstream_router.routes.index import Index
from podstream_router.routes.topics import Topic, listener_topic, pool_topic
from podstream_router.routes.values import PoolRoute


class Pools:
    """StreamPools."""

    def __init__(self) -> None:
        self._pools: dict[PoolKey, PoolRoute] = {}
        self._by_listener: Index[str, PoolKey, PoolRoute] = Index()

    def __len__(self) -> int:
        return len(self._pools)

    def get(self, key: PoolKey) -> PoolRoute | None:
        """The pool of this name."""
        return self._pools.get(key)

    def for_listener(self, name: str) -> PoolRoute | None:
        """The oldest Public pool that names this listener and has not ended."""
        candidates = [
            pool for pool in self._by_listener.get(name).values() if pool.public and not pool.ended
        ]
        return min(candidates, key=lambda item: (item.created, item.key), default=None)

    def keys_in(self, namespace: str | None) -> list[PoolKey]:
        """Pools of a namespace, or of all."""
        return [key for key in self._pools if namespace in (None, key.namespace)]

    def put(self, pool: PoolRoute) -> set[Topic]:
        """Add or replace a pool; return what has changed."""
        topics = self.drop(pool.key)
        self._pools[pool.key] = pool
        self._by_listener.put(pool.listeners, pool.key, pool)
        return topics | _topics_of(pool)

    def drop(self, key: PoolKey) -> set[Topic]:
        """Forget a pool; return what has changed."""
        old = self._pools.pop(key, None)
        if old is None:
            return {pool_topic(key)}
        self._by_listener.drop(old.listeners, key)
        return _topics_of(old)


def _topics_of(pool: PoolRoute) -> set[Topic]:
    return {pool_topic(pool.key), *(listener_topic(name) for name in pool.listeners)}
