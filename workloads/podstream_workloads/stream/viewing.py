"""Shows frames to viewers: each picture is made once for all of them, and a slow one misses some.

A viewer has a small box of pictures. Where it is full, its oldest picture makes room for the
newest: what a viewer sees is never older than the box, and nobody waits for it. Without viewers
of a form its pictures are not made at all.
"""

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2

from podstream_core.agentapi import Protocol
from podstream_core.names import MJPEG_BOUNDARY
from podstream_workloads.stream.frames import Frame

logger = logging.getLogger(__name__)

_JPEG_QUALITY: Final = 85
_BOX_BYTES: Final = 32 << 20
"""Raw frames that wait, at most: all viewers share them, but large ones are large."""
_SEND_BUFFER_BYTES: Final = 256 * 1024
"""What the kernel holds for a slow viewer on top of its box."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a kind of viewer gets its pictures."""

    encode: Callable[[Frame], bytes]
    """Makes the bytes of one picture."""
    most: int
    """Pictures that may wait for one viewer."""
    takes_time: bool
    """Whether they are made in a thread."""

    def box_size(self, frame_bytes: int) -> int:
        """Pictures that may wait for one viewer, of frames of this size; at least the newest."""
        return max(min(self.most, _BOX_BYTES // frame_bytes), 1)


def encode_part(frame: Frame) -> bytes:
    """One part of a `multipart/x-mixed-replace` stream (RFC 2046, section 5.1): a JPEG.

    Raises:
        cv2.error: the frame cannot be encoded.
    """
    _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    picture = jpeg.tobytes()
    head = (
        f"--{MJPEG_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    )
    return head.encode() + picture + b"\r\n"


def encode_raw(frame: Frame) -> bytes:
    """A frame as it came: the original's viewers read back-to-back raw frames."""
    return frame.tobytes()


FORMATS: Final = {
    Protocol.MJPEG: Format(encode_part, most=1, takes_time=True),
    # A few frames, so that one who keeps pace misses none although frames come in bursts.
    Protocol.VIEW: Format(encode_raw, most=8, takes_time=False),
}


class _Viewer:
    def __init__(self, box_size: int) -> None:
        self.box: deque[bytes] = deque(maxlen=box_size)
        self.has_some = asyncio.Event()

    def give(self, picture: bytes) -> None:
        self.box.append(picture)
        self.has_some.set()

    async def take(self) -> bytes:
        while not self.box:
            self.has_some.clear()
            await self.has_some.wait()
        return self.box.popleft()


class _Gallery:
    """The viewers of one format."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self.viewers: set[_Viewer] = set()
        self._next: Frame | None = None
        self._making: asyncio.Task[None] | None = None

    def show(self, frame: Frame) -> None:
        """Make the picture of a frame and give it to every viewer; a later frame may overtake."""
        if not self.viewers:
            return
        if not self._form.takes_time:
            self._give(self._form.encode(frame))
            return
        self._next = frame.copy()
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name="pictures")

    async def close(self) -> None:
        self._next = None
        if self._making is not None:
            await asyncio.wait([self._making])

    async def _make(self) -> None:
        try:
            while self._next is not None and self.viewers:
                frame, self._next = self._next, None
                self._give(await asyncio.to_thread(self._form.encode, frame))
        except cv2.error as error:
            logger.error("frame not shown: %s", error)
        finally:
            self._making = None

    def _give(self, picture: bytes) -> None:
        for viewer in self.viewers:
            viewer.give(picture)


class Viewing:
    """All viewers of a session. Used on one event loop."""

    def __init__(self, frame_bytes: int) -> None:
        """Prepare for frames of so many bytes."""
        self._frame_bytes = frame_bytes
        self._galleries = {protocol: _Gallery(form) for protocol, form in FORMATS.items()}

    @property
    def count(self) -> int:
        """Viewers that are connected."""
        return sum(len(gallery.viewers) for gallery in self._galleries.values())

    def show(self, frame: Frame) -> None:
        """Give a frame to all viewers. It is copied where it is needed; never waits."""
        for gallery in self._galleries.values():
            gallery.show(frame)

    async def serve(self, sock: socket.socket, *, protocol: Protocol) -> str:
        """Send pictures to one viewer until it leaves; say why it has ended.

        Args:
            sock: connected, non-blocking; stays open.
            protocol: one of `FORMATS`.
        """
        gallery = self._galleries[protocol]
        viewer = _Viewer(FORMATS[protocol].box_size(self._frame_bytes))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        gallery.viewers.add(viewer)
        sending = asyncio.create_task(_send(sock, viewer), name="view")
        leaving = asyncio.create_task(_wait_for_end(sock), name="view-end")
        tasks = {sending, leaving}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # Of both, so that neither is reported as one that nobody has looked at.
            fault = next(filter(None, [task.exception() for task in done]), None)
            if isinstance(fault, OSError) and fault.errno:
                return os.strerror(fault.errno)
            return "the viewer left" if fault is None else str(fault)
        finally:
            gallery.viewers.discard(viewer)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Let pictures that are being made be finished."""
        for gallery in self._galleries.values():
            await gallery.close()


async def _send(sock: socket.socket, viewer: _Viewer) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_sendall(sock, await viewer.take())


async def _wait_for_end(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(sock, 1024):
        pass  # viewers have nothing to say
