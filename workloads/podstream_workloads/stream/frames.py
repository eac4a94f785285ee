"""Cuts a byte stream into frames: back to back, without header, each of the declared size."""

import socket
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

CHANNELS: Final = 3
"""Blue, green, red."""

Frame = NDArray[np.uint8]
"""Shape (height, width, 3), BGR."""


class FrameBuffer:
    """Receives into one frame until it is whole.

    A frame is handed out as a view of the buffer and is valid until the next call of `receive`:
    whoever keeps it copies it.
    """

    def __init__(self, width: int, height: int) -> None:
        pixels = bytearray(height * width * CHANNELS)
        self._view = memoryview(pixels)
        self._frame: Frame = np.frombuffer(pixels, np.uint8).reshape(height, width, CHANNELS)
        self._filled = 0

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return len(self._view)

    @property
    def filled(self) -> int:
        """Bytes that have come of the present frame."""
        return self._filled

    def receive(self, sock: socket.socket, *, on_frame: Callable[[Frame], None]) -> int:
        """Read once from a non-blocking socket; return the bytes, 0 at the stream's end.

        Raises:
            BlockingIOError: there is nothing to read yet.
            OSError: the connection was reset.
        """
        count = sock.recv_into(self._view[self._filled :])
        self._filled += count
        if self._filled == self.size:
            self._filled = 0
            on_frame(self._frame)
        return count
