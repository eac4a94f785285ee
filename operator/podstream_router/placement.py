"""Holds a connection until its session has a pod that takes it.

The connection may be earlier than the pod, and than the agent inside it. The router creates
nothing for it: it waits for the routes to change and tries the pod with back-off, up to the hold
timeout.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from podstream_core.api import SessionKey
from podstream_router.errors import NotReady, SessionEnded, ShuttingDown, TryAgain
from podstream_router.metrics import RouterMetrics
from podstream_router.routes import PodRoute, RouteTable, SessionRoute, Topic

logger = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.05
RETRY_LAST_S: Final = 0.8

_T = TypeVar("_T")


class Target(Protocol):
    """What a connection asks for."""

    @property
    def topic(self) -> Topic:
        """Changes that may help."""

    def find(self) -> SessionRoute | None:
        """The session as it stands; `None` while there is none.

        Raises:
            Refusal: waiting cannot help.
        """


class Placement:
    """Takes connections to pods."""

    def __init__(
        self, routes: RouteTable, *, hold_timeout_s: float, metrics: RouterMetrics
    ) -> None:
        self._routes = routes
        self._hold_timeout_s = hold_timeout_s
        self._metrics = metrics
        self._held: set[asyncio.Event] = set()
        self._draining = False

    def drain(self) -> None:
        """Refuse everything that is held from now on."""
        self._draining = True
        for wakeup in self._held:
            wakeup.set()

    async def place(
        self,
        target: Target,
        attempt: Callable[[SessionRoute, PodRoute], Awaitable[_T]],
        *,
        protocol: str,
    ) -> _T:
        """Find the pod of a target and return what `attempt` made of it.

        `attempt` raises `TryAgain` while the pod is not ready.

        Raises:
            NotReady: no pod took the connection within the hold timeout.
            SessionEnded: the session is over.
            ShuttingDown: the router is going away.
            Refusal: whatever `attempt` or the target refuses.
        """
        started = time.monotonic()
        wakeup = asyncio.Event()
        self._held.add(wakeup)
        try:
            with self._routes.subscribed(target.topic, wakeup.set):
                return await self._try(target, attempt, wakeup)
        finally:
            self._held.discard(wakeup)
            self._metrics.hold_seconds.labels(protocol).observe(time.monotonic() - started)

    async def appear(self, key: SessionKey, *, timeout_s: float) -> SessionRoute | None:
        """The session, waiting a moment for a watch that lags; `None` where it does not come."""
        session = self._routes.session(key)
        if session is not None or self._draining:
            return session
        wakeup = asyncio.Event()
        with self._routes.subscribed(key, wakeup.set):
            try:
                async with asyncio.timeout(timeout_s):
                    await wakeup.wait()
            except TimeoutError:
                pass
        return self._routes.session(key)

    async def _try(
        self,
        target: Target,
        attempt: Callable[[SessionRoute, PodRoute], Awaitable[_T]],
        wakeup: asyncio.Event,
    ) -> _T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hold_timeout_s
        delay_s = RETRY_FIRST_S
        tried_pod = ""
        while True:
            if self._draining:
                raise ShuttingDown
            wakeup.clear()
            session = target.find()
            pod = self._routes.pod_for(session.uid) if session else None
            wait_s = deadline - loop.time()
            cause = "no session is there" if session is None else "the session has no pod yet"
            if session is not None and session.ended:
                raise SessionEnded(f"{session.ended}: nothing can connect any more")
            if session is not None and pod is not None:
                if pod.uid != tried_pod:
                    tried_pod, delay_s = pod.uid, RETRY_FIRST_S
                try:
                    return await attempt(session, pod)
                except TryAgain as error:
                    self._metrics.dial_retries.inc()
                    cause = str(error)
                    wait_s = min(deadline - loop.time(), delay_s * random.uniform(0.8, 1.2))
                    delay_s = min(RETRY_LAST_S, 2 * delay_s)
            if loop.time() >= deadline:
                raise NotReady(
                    f"no pod took the connection within {self._hold_timeout_s:g} s ({cause}): "
                    "look at the session's conditions and try again"
                )
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await wakeup.wait()
            except TimeoutError:
                continue
