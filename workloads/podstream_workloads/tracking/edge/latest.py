"""The one-slot box between the thread that captures and the thread that works.

A slow detector costs frames, never delay: the newest picture replaces the one that waits.
"""

import threading
from dataclasses import dataclass

from podstream_workloads.tracking.edge.detectors.base import Picture


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a camera."""

    image: Picture
    time_s: float
    """Seconds on the stream's own clock; the `frameId` of what is found in it."""
    index: int = 0
    """Place in the stream, from 0; what a file of truth counts by (from 1 there)."""


class LatestFrame:
    """One slot between threads. Producers: one; consumers: one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self._put = 0
        self._dropped = 0

    @property
    def received(self) -> int:
        """Frames that were put in."""
        return self._put

    @property
    def dropped(self) -> int:
        """Frames that were replaced before anybody took them."""
        return self._dropped

    def put(self, frame: Frame) -> None:
        """Replace what waits; never blocks. Ignored once the box is closed."""
        with self._changed:
            if self._closed:
                return
            self._put += 1
            self._dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def put_waiting(self, frame: Frame) -> None:
        """Put a frame in once the slot is empty, so that none is lost: for files with truth.

        Returns at once when the box is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is None or self._closed)
            self.put(frame)

    def get(self, timeout_s: float | None = None) -> Frame | None:
        """Take the newest frame, waiting for one; `None` at the time limit or when closed.

        A frame that waits when the box is closed is still handed out.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Let both sides end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
