"""Ends pods that were assigned in vain, so that they do not count as in use."""

import asyncio
import logging
from typing import Final

from podstream_router.agent import AgentClient
from podstream_router.errors import Refusal, TryAgain
from podstream_router.logfields import about
from podstream_router.routes import PodRoute, RouteTable, SessionRoute

logger = logging.getLogger(__name__)

_DELAYS_S: Final = (0.2, 1.0, 3.0)
"""Between attempts. A pod that is never told ends by itself: nobody confirms its session."""


class Releases:
    """Drains pods in the background."""

    def __init__(self, *, agent: AgentClient, routes: RouteTable) -> None:
        self._agent = agent
        self._routes = routes
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, pod: PodRoute, *, session: SessionRoute, reason: str, message: str) -> None:
        """Tell a pod to end; at once, with a few attempts."""
        logger.info("pod released", extra=about(session.key, pod=pod, reason=reason, cause=message))
        task = asyncio.create_task(self._drain(pod, session, reason, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, *, timeout_s: float) -> None:
        """Wait for what is under way, so long; then give up."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _drain(self, pod: PodRoute, session: SessionRoute, reason: str, message: str) -> None:
        for delay_s in (*_DELAYS_S, None):
            try:
                await self._agent.drain(pod, reason=reason, message=message)
            except (TryAgain, Refusal) as error:
                if self._routes.pod(pod.uid) is None:
                    return
                if delay_s is None:
                    logger.warning(
                        "pod not told to end", extra=about(session.key, pod=pod, cause=str(error))
                    )
                    return
                await asyncio.sleep(delay_s)
            else:
                return
