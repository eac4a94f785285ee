"""What waits to be sent: bounded, the newest kept.

Feature maps are few and matter: the newest of each object waits, and none is dropped. Boxes are
many and grow stale: above the bound the oldest go, and are counted.
"""

import asyncio
from collections import deque


class Outbox:
    """Messages of one processor. Belongs to one event loop."""

    def __init__(self, *, most_boxes: int) -> None:
        self._boxes: deque[str] = deque()
        self._most = max(1, most_boxes)
        self._maps: dict[int, str] = {}
        self._filled = asyncio.Event()
        self.dropped = 0
        """Messages of boxes that no longer fitted."""

    def __len__(self) -> int:
        """Messages that wait."""
        return len(self._boxes) + len(self._maps)

    def put_boxes(self, message: str) -> None:
        """Let boxes wait behind those that wait; never blocks."""
        if len(self._boxes) >= self._most:
            self._boxes.popleft()
            self.dropped += 1
        self._boxes.append(message)
        self._filled.set()

    def put_feature_map(self, object_id: int, message: str) -> None:
        """Let an object's map wait instead of its older one."""
        self._maps.pop(object_id, None)
        self._maps[object_id] = message
        self._filled.set()

    def forget(self, object_id: int) -> None:
        """Nobody wants to know what this object looks like any more."""
        self._maps.pop(object_id, None)

    async def get(self) -> tuple[int | None, str]:
        """The next message, maps first, with the object whose map it is; waits for one."""
        while not len(self):
            self._filled.clear()
            await self._filled.wait()
        if self._maps:
            object_id = next(iter(self._maps))
            return object_id, self._maps.pop(object_id)
        return None, self._boxes.popleft()

    def put_back(self, object_id: int | None, message: str) -> None:
        """Return what could not be sent to the front: a map unless a newer one waits already."""
        if object_id is not None:
            self._maps.setdefault(object_id, message)
        elif len(self._boxes) >= self._most:
            self.dropped += 1
            return
        else:
            self._boxes.appendleft(message)
        self._filled.set()
