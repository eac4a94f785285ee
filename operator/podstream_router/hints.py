"""Tells the operator which sessions are worth a look; a lost hint only makes it look later."""

import asyncio
from typing import Final

from podstream_core.api import SessionKey
from podstream_router.metrics import RouterMetrics
from podstream_router.operators import Operators

MAX_PENDING: Final = 1000


class Hints:
    """A bounded set of keys and one task that posts them."""

    def __init__(self, operators: Operators | None, *, metrics: RouterMetrics) -> None:
        self._operators = operators
        self._metrics = metrics
        self._pending: dict[SessionKey, None] = {}
        self._wakeup = asyncio.Event()

    def send(self, key: SessionKey) -> None:
        """Post a key soon; never blocks, and drops the hint when too many wait."""
        if self._operators is None or key in self._pending:
            return
        if len(self._pending) >= MAX_PENDING:
            self._metrics.hints.labels("dropped").inc()
            return
        self._pending[key] = None
        self._wakeup.set()

    async def run(self) -> None:
        """Post hints until cancelled."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._pending:
                key = next(iter(self._pending))
                del self._pending[key]
                await self._post(key)

    async def _post(self, key: SessionKey) -> None:
        assert self._operators is not None, "keys are only kept where there is an operator"
        body = {"namespace": key.namespace, "name": key.name}
        taken = await self._operators.post("/hint", body)
        self._metrics.hints.labels("sent" if taken else "failed").inc()
