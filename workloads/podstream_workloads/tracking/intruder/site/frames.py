"""Frames that wait for the detector: first in, first out per camera, cameras in turn.

Bounded per camera and in bytes over all. A camera that floods loses its own oldest frames; a
camera that sends one frame waits for at most one frame of each other camera.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as a camera sent it."""

    sid: str
    """The socket it came by."""
    name: str
    data: bytes
    received_at: float
    """Monotonic seconds."""


class WaitingFrames:
    """The frames of all cameras that wait."""

    def __init__(self, *, per_camera: int, max_bytes: int, max_cameras: int) -> None:
        self._per_camera = per_camera
        self._max_bytes = max_bytes
        self._max_frames = per_camera * max_cameras
        self._cameras: OrderedDict[str, deque[Frame]] = OrderedDict()
        self._bytes = 0
        self._frames = 0
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return self._frames

    @property
    def waiting_bytes(self) -> int:
        """Of all waiting frames."""
        return self._bytes

    def put(self, frame: Frame) -> list[Frame]:
        """Add a frame; returns those that had to go, oldest first.

        Those are the camera's own beyond its share, then of the camera with most bytes: sockets
        that are gone leave their frames here, so the number of cameras does not bound the sum.
        """
        own = self._cameras.setdefault(frame.sid, deque())
        own.append(frame)
        self._frames += 1
        self._bytes += len(frame.data)
        gone = []
        while len(own) > self._per_camera:
            gone.append(self._pop(frame.sid))
        while self._frames > 1 and (
            self._bytes > self._max_bytes or self._frames > self._max_frames
        ):
            fullest = max(self._cameras, key=self._size)
            gone.append(self._pop(fullest))
        self._some.set()
        return gone

    async def get(self) -> Frame:
        """The oldest frame of the camera whose turn it is; waits for one."""
        while not self._frames:
            self._some.clear()
            await self._some.wait()
        sid = next(iter(self._cameras))
        frame = self._pop(sid)
        if sid in self._cameras:
            self._cameras.move_to_end(sid)
        return frame

    def _size(self, sid: str) -> int:
        return sum(len(frame.data) for frame in self._cameras[sid])

    def _pop(self, sid: str) -> Frame:
        own = self._cameras[sid]
        frame = own.popleft()
        if not own:
            del self._cameras[sid]
        self._frames -= 1
        self._bytes -= len(frame.data)
        return frame
