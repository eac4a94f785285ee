"""Tells the operator which sessions are worth a look; a lost hint only makes it look later."""

import asyncio
import logging
from typing import Final

import aiohttp

from podstream_core.api import SessionKey
from podstream_router.metrics import RouterMetrics

logger = logging.getLogger(__name__)

MAX_PENDING: Final = 1000
_TIMEOUT: Final = aiohttp.ClientTimeout(total=2, sock_connect=1)


class Hints:
    """A bounded set of keys and one task that posts them."""

    def __init__(
        self, http: aiohttp.ClientSession, *, operator_url: str | None, metrics: RouterMetrics
    ) -> None:
        self._http = http
        self._url = f"{operator_url}/hint" if operator_url else None
        self._metrics = metrics
        self._pending: dict[SessionKey, None] = {}
        self._wakeup = asyncio.Event()

    def send(self, key: SessionKey) -> None:
        """Post a key soon; never blocks, and drops the hint when too many wait."""
        if self._url is None or key in self._pending:
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
        assert self._url is not None, "keys are only kept where there is an operator"
        body = {"namespace": key.namespace, "name": key.name}
        try:
            async with self._http.post(self._url, json=body, timeout=_TIMEOUT) as response:
                result = "sent" if response.status < 300 else "failed"  # noqa: PLR2004
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            result = "failed"
            logger.debug("hint lost", extra={"session": str(key), "cause": str(error)})
        self._metrics.hints.labels(result).inc()
