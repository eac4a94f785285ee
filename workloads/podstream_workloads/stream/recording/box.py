"""Hands frames from the thread that receives them to the one that records them.

The receiver never waits: a frame that finds no room is dropped and counted. Orders always find
room and keep their place among the frames, so that a recording has exactly those that came between
its start and its stop.
"""

import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from podstream_workloads.stream.frames import Frame

ROOM_BYTES: Final = 32 << 20
"""Frames that wait: 36 of 640x480, which is more than a second."""
_LEAST_FRAMES: Final = 2


class Order(Enum):
    """What the recording thread is told."""

    START = auto()
    STOP = auto()
    GIVE_UP = auto()
    """The recording has failed elsewhere: the file ends with what came before."""
    CLOSE = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A frame and when it came."""

    frame: Frame
    at: float
    """Seconds on a monotonic clock."""


class FrameBox:
    """A bounded queue between two threads."""

    def __init__(self, *, room_bytes: int = ROOM_BYTES) -> None:
        self._room_bytes = room_bytes
        self._items: deque[Arrival | Order] = deque()
        self._waiting = 0
        self._dropped = 0
        self._changed = threading.Condition()

    @property
    def dropped(self) -> int:
        """Frames that found no room."""
        return self._dropped

    def offer(self, frame: Frame, *, at: float) -> bool:
        """Copy a frame in, if there is room for it; whether there was."""
        with self._changed:
            most = max(self._room_bytes // frame.nbytes, _LEAST_FRAMES)
            if self._waiting >= most:
                self._dropped += 1
                return False
            self._waiting += 1
        arrival = Arrival(frame.copy(), at)
        with self._changed:
            self._items.append(arrival)
            self._changed.notify()
        return True

    def order(self, order: Order) -> None:
        """Put an order behind the frames that came before it."""
        with self._changed:
            self._items.append(order)
            self._changed.notify()

    def take(self) -> Arrival | Order:
        """The oldest item, once there is one."""
        with self._changed:
            while not self._items:
                self._changed.wait()
            item = self._items.popleft()
            if isinstance(item, Arrival):
                self._waiting -= 1
            return item
