"""Tells the operator how many connections wait for a pod of which pool."""

import asyncio
import logging
from typing import Final

from podstream_core.api import PoolKey
from podstream_router.operators import Operators

logger = logging.getLogger(__name__)

REPEAT_S: Final = 1.0
"""The operator forgets a router's demand after three seconds without a word."""


class Demand:
    """Posts each change at once, and what still waits every second."""

    def __init__(self, operators: Operators | None, *, router: str) -> None:
        """`router`: this replica's name; each one's demand counts."""
        self._operators = operators
        self._router = router
        self._waiting: dict[PoolKey, int] = {}
        self._changed: set[PoolKey] = set()
        self._wakeup = asyncio.Event()
        self._is_heard = True

    @property
    def total(self) -> int:
        """Connections that wait, over all pools."""
        return sum(self._waiting.values())

    def set(self, pool: PoolKey, waiting: int) -> None:
        """So many connections wait for a pod of this pool now."""
        if waiting == self._waiting.get(pool, 0):
            return
        if waiting:
            self._waiting[pool] = waiting
        else:
            del self._waiting[pool]
        self._changed.add(pool)
        self._wakeup.set()

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            try:
                async with asyncio.timeout(REPEAT_S if self._waiting else None):
                    await self._wakeup.wait()
            except TimeoutError:
                self._changed |= self._waiting.keys()
            self._wakeup.clear()
            due, self._changed = self._changed, set()
            await asyncio.gather(*(self._post(pool) for pool in due))

    async def _post(self, pool: PoolKey) -> None:
        if self._operators is None:
            return
        body = {
            "namespace": pool.namespace,
            "pool": pool.name,
            "waiting": self._waiting.get(pool, 0),
            "router": self._router,
        }
        is_heard = await self._operators.post("/demand", body)
        if self._is_heard and not is_heard:
            logger.warning(
                "no operator was told that connections wait: no pod is started for them",
                extra={"namespace": pool.namespace, "pool": pool.name},
            )
        self._is_heard = is_heard
