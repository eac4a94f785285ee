"""Tells pods from where their client's media comes now (docs/adr/0006-router-replicas.md).

When a replica dies, all its clients turn up elsewhere within a second: the calls are made by a few
workers, oldest first, and a flow that is gone again before its turn costs nothing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final

from podstream_router.flows import Flow

logger = logging.getLogger(__name__)

WORKERS: Final = 16
RETRY_S: Final = (0.1, 0.3, 1.0)
"""Pauses between attempts while the pod does not answer. Beside this, a pod follows a client's own
check within a second of silence."""


class Moved(StrEnum):
    """What became of an order."""

    MOVED = "moved"
    REFUSED = "refused"
    """The pod has no such connection (any more)."""
    UNREACHABLE = "unreachable"


MoveMedia = Callable[[Flow], Awaitable[Moved]]
"""Orders a pod to send a flow's media to this replica."""
AboutFlow = Callable[[Flow], Mapping[str, str]]
"""The fields of a log line about a flow."""


def about_pod_uid(flow: Flow) -> dict[str, str]:
    """What a flow itself knows."""
    return {"pod_uid": flow.pod_uid}


class Mover:
    """A queue of flows whose pods are to be told, and the workers that do it."""

    def __init__(
        self, move: MoveMedia, *, on_refused: Callable[[Flow], None], about: AboutFlow
    ) -> None:
        """`on_refused`: told of a flow that its pod does not want."""
        self._move = move
        self._on_refused = on_refused
        self._about = about
        self._queue: asyncio.Queue[Flow] = asyncio.Queue()
        self.results: Counter[Moved] = Counter()

    def move(self, flow: Flow) -> None:
        """Tell the pod soon. Flows are bounded and each is moved at most once a second."""
        self._queue.put_nowait(flow)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"mover:{number}")

    async def _work(self) -> None:
        while True:
            flow = await self._queue.get()
            result = await self._tell(flow)
            self.results[result] += 1
            logger.info("media flow taken over", extra={**self._about(flow), "result": result})
            if result is Moved.REFUSED:
                self._on_refused(flow)

    async def _tell(self, flow: Flow) -> Moved:
        result = Moved.UNREACHABLE
        for pause_s in (*RETRY_S, None):
            if flow.closed:
                return Moved.REFUSED
            result = await self._move(flow)
            if result is not Moved.UNREACHABLE or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        return result
