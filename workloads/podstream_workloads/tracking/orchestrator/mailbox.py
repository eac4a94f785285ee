"""What waits for one peer that takes messages more slowly than they come.

Within the byte budget everything waits in order and nothing is lost. Above it boxes are
latest-wins for each camera, until all that waited is gone: a slow client sees fresh boxes at its
own rate, its memory is bounded, and one busy camera cannot push out the others. Control messages
always wait in order and are never dropped; too many are an overflow, and the peer must go.
Frames are shared between mailboxes, so a waiting frame costs a reference.
"""

from collections import deque
from collections.abc import Hashable


class Overflow(Exception):
    """More control messages wait than the peer may have."""


class Mailbox:
    """Frames of one peer, first in first out as far as the module says."""

    def __init__(self, *, box_budget_bytes: int) -> None:
        self._budget = box_budget_bytes
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._latest: dict[Hashable, bytes] = {}
        self._box_bytes = 0
        self._controls = 0
        self.dropped = 0
        """Boxes messages that a newer one of the same camera replaced."""

    def __bool__(self) -> bool:
        return bool(self._queue or self._latest)

    def put_boxes(self, frame: bytes, camera: Hashable) -> None:
        """Add boxes of a camera."""
        if not self._latest and self._box_bytes + len(frame) <= self._budget:
            self._queue.append((frame, True))
            self._box_bytes += len(frame)
            return
        if camera in self._latest:
            self.dropped += 1
        self._latest[camera] = frame

    def put_control(self, frame: bytes, *, limit: int) -> None:
        """Add a control message.

        Raises:
            Overflow: `limit` control messages wait already.
        """
        if self._controls >= limit:
            raise Overflow(f"{limit} control messages wait")
        self._queue.append((frame, False))
        self._controls += 1

    def pop(self) -> bytes:
        """Take what goes next. Raises IndexError when nothing waits."""
        if self._queue:
            frame, is_boxes = self._queue.popleft()
            if is_boxes:
                self._box_bytes -= len(frame)
            else:
                self._controls -= 1
            return frame
        for camera in self._latest:
            return self._latest.pop(camera)
        raise IndexError("nothing waits")

    def clear(self) -> None:
        """Forget all that waits."""
        self._queue.clear()
        self._latest.clear()
        self._box_bytes = self._controls = 0
