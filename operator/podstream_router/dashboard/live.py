"""Live figures of a session for open pages: its agent is asked once a second, however many look."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from podstream_core.api import SessionKey
from podstream_router.agent import AgentClient
from podstream_router.results import live_figures
from podstream_router.routes import RouteTable

INTERVAL_S: Final = 1.0
_PATIENCE_S: Final = 2.0
"""A pod that stands still does not hold up the page's other news."""
_MAX_KEPT: Final = 1000


class LiveResults:
    """The last figures by session, at most an interval old."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        agent: AgentClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._agent = agent
        self._clock = clock
        self._last: dict[SessionKey, tuple[float, bytes | None]] = {}
        self._locks: dict[SessionKey, asyncio.Lock] = {}

    async def read(self, key: SessionKey) -> bytes | None:
        """JSON of phase, timeline and results as the pod has them; `None` without a pod."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            at, body = self._last.get(key, (float("-inf"), None))
            if self._clock() - at < INTERVAL_S * 0.9:
                return body
            body = await self._ask(key)
            self._last[key] = (self._clock(), body)
        if len(self._last) > _MAX_KEPT:
            oldest = min(self._last, key=lambda item: self._last[item][0])
            del self._last[oldest]
            self._locks.pop(oldest, None)
        return body

    async def _ask(self, key: SessionKey) -> bytes | None:
        session = self._routes.session(key)
        pod = self._routes.pod_for(session) if session is not None else None
        if pod is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                shown = await live_figures(self._agent, pod)
        except TimeoutError:
            return None
        if shown is None:
            return None
        return msgspec.json.encode(
            {"namespace": key.namespace, "name": key.name, "at": time.time(), **shown}
        )
