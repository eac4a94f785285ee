"""A box with one slot: the newest value wins, the one it replaces is counted as dropped.

Every hop of the media path is one of these, so that a slow stage costs frames and never delay or
memory.
"""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class BoxClosed(Exception):
    """No value will come any more."""


class LatestBox(Generic[T]):
    """One slot between a producer and a consumer on the same event loop."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._filled = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """Values that were replaced before anybody took them."""

    def put(self, value: T) -> None:
        """Replace the value; never waits. Ignored once the box is closed."""
        if self._closed:
            return
        if self._value is not None:
            self.dropped += 1
        self._value = value
        self._filled.set()

    async def get(self) -> T:
        """Take the newest value, waiting for one if there is none.

        Raises:
            BoxClosed: the box was closed and is empty.
        """
        while self._value is None:
            if self._closed:
                raise BoxClosed
            await self._filled.wait()
        value, self._value = self._value, None
        if not self._closed:
            self._filled.clear()
        return value

    def close(self) -> None:
        """Let the consumer end after the value that is left."""
        self._closed = True
        self._filled.set()
