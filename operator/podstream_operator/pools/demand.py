"""How many connections wait at the routers for a pod of each pool.

Soft state: each router repeats its number every second while it is not zero, and a router that
falls silent is forgotten.
"""

from typing import Final

from podstream_core.api import PoolKey

EXPIRES_AFTER_S: Final = 3.0
MAX_ROUTERS: Final = 64
"""Per pool; more than any installation has."""
MAX_WAITING: Final = 5000


class DemandBook:
    """Owns the routers' numbers. The clock is passed in, seconds of a monotonic one."""

    def __init__(self) -> None:
        self._waiting: dict[PoolKey, dict[str, tuple[int, float]]] = {}

    def note(self, key: PoolKey, *, router: str, waiting: int, now: float) -> bool:
        """Take a router's number; whether the pool's sum has changed."""
        before = self.waiting(key, now=now)
        routers = self._waiting.setdefault(key, {})
        if waiting > 0 and (router in routers or len(routers) < MAX_ROUTERS):
            routers[router] = (min(waiting, MAX_WAITING), now + EXPIRES_AFTER_S)
        else:
            routers.pop(router, None)
        return self.waiting(key, now=now) != before

    def waiting(self, key: PoolKey, *, now: float) -> int:
        """Connections that wait for the pool."""
        routers = self._waiting.get(key)
        if routers is None:
            return 0
        for name in [name for name, (_, until) in routers.items() if until <= now]:
            del routers[name]
        if not routers:
            del self._waiting[key]
        return sum(count for count, _ in routers.values())
