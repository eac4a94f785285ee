"""A Socket.IO connection to an edge that comes back by itself, with a back-off that really grows.

The library's own reconnecting is off: one loop here covers the first try and every later one, so
a device may start before its edge and outlive it.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import socketio

logger = logging.getLogger(__name__)

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0
_JITTER: Final = 0.25
_HELLO_S: Final = 10.0
"""Seconds a try may take."""


class EdgeUnreachable(Exception):
    """All tries are used up."""


def pauses(
    *, first_s: float = _FIRST_S, longest_s: float = _LONGEST_S, spread: Callable[[], float]
) -> Iterator[float]:
    """Seconds between tries: doubling from the first to the longest, each up to a quarter off.

    Args:
        first_s: the first pause.
        longest_s: no pause is longer, but for its quarter.
        spread: gives numbers between -1 and 1, so that devices do not return in step.
    """
    pause = first_s
    while True:
        yield pause * (1 + _JITTER * spread())
        pause = min(longest_s, pause * 2)


class EdgeLink:
    """One device's connection."""

    def __init__(
        self, url: str, *, token: str = "", tries: int = 0, first_pause_s: float = _FIRST_S
    ) -> None:
        """`tries` of one outage; 0 never gives up."""
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tries = tries
        self._first_pause_s = first_pause_s
        self._gone = asyncio.Event()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("disconnect", self._on_disconnect)

    @property
    def connected(self) -> bool:
        """Whether events can be sent now."""
        return bool(self.client.connected)

    async def connect(self) -> None:
        """Connect, however long it takes.

        Raises:
            EdgeUnreachable: no tries are left.
        """
        waits = pauses(first_s=self._first_pause_s, spread=lambda: random.uniform(-1, 1))
        attempt = 0
        while True:
            attempt += 1
            self._gone.clear()
            try:
                await self.client.connect(
                    self._url, headers=self._headers, wait_timeout=_HELLO_S, retry=False
                )
            except (socketio.exceptions.ConnectionError, ValueError, OSError) as error:
                if self._tries and attempt >= self._tries:
                    raise EdgeUnreachable(f"{self._url}: {error}") from error
                pause = next(waits)
                logger.warning("No edge at %s: %s; again in %.1f s", self._url, error, pause)
                await self._abandon()
                await asyncio.sleep(pause)
            else:
                logger.info("Connected to edge %s", self._url)
                return

    async def lost(self) -> None:
        """Wait until the connection is gone."""
        await self._gone.wait()

    async def close(self) -> None:
        """Disconnect for good."""
        await self._abandon()

    async def _abandon(self) -> None:
        try:
            async with asyncio.timeout(_HELLO_S):
                await self.client.disconnect()
        except TimeoutError:
            logger.warning("The edge did not say goodbye")

    async def _on_disconnect(self, *_: Any) -> None:
        logger.warning("The connection to the edge is gone")
        self._gone.set()
