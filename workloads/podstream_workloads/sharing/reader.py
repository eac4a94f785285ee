"""The end of whoever looks on: the newest frame at a time, in a thread that may wait for it."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.sharing.memory import MemoryView
from podstream_workloads.sharing.messages import (
    MESSAGE_BYTES,
    NEXT,
    FrameMessage,
    Mark,
    pack_note,
)

CONNECT_TIMEOUT_S: Final = 30.0
"""The stream is another process, which may still be starting."""
_RETRY_S: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class SharedFrame:
    """A frame of the stream; its pixels are valid until the reader's next one."""

    image: NDArray[np.uint8]
    """(height, width, 3), BGR, read-only."""
    sequence: int
    """Its number within the stream, from 1."""
    at: float
    """When the stream had it, seconds of `time.monotonic`."""
    mark: Mark | None
    """By what its publisher knows it."""


class FrameReader:
    """One reader. `next` is for one thread; `close` may be called by any, at any time."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connection to the server."""
        self._sock = sock
        self._lock = threading.RLock()  # a signal's handler may close it where it is held
        self._is_closed = False
        self._view: MemoryView | None = None
        self._taken = self._newest = self._missed = 0

    @classmethod
    def connect(cls, path: Path, *, timeout_s: float = CONNECT_TIMEOUT_S) -> "FrameReader":
        """Connect to the stream of the session, waiting for it. Blocks: not for the event loop.

        Raises:
            OSError: it was not there in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                sock.connect(str(path))
            except OSError:
                sock.close()
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return cls(sock)

    @property
    def received(self) -> int:
        """Frames of the stream up to the newest one that was read here."""
        return self._newest

    @property
    def dropped(self) -> int:
        """Of these, frames that a newer one replaced before this reader asked."""
        return self._missed

    def next(self) -> SharedFrame | None:
        """The newest frame that was not read yet, waiting for one; `None` at the end.

        The frame before is given back by this.
        """
        try:
            self._sock.send(NEXT)
            data, fds, _flags, _address = socket.recv_fds(self._sock, MESSAGE_BYTES, 1)
        except OSError:
            return None
        if not data:
            return None
        message = FrameMessage.unpack(data)
        view = MemoryView(fds[0]) if fds else self._view
        with self._lock:
            if self._is_closed:
                return None
            self._view = view
        assert view is not None  # the first message carries the descriptor
        self._taken += 1
        self._newest = message.sequence
        self._missed = self._newest - self._taken
        image = view.frame(message.offset, width=message.width, height=message.height)
        return SharedFrame(image, message.sequence, message.at, message.mark)

    def note(self, text: str) -> None:
        """Say a line to the stream's publisher, who hears it if it has opened a data channel."""
        try:
            self._sock.send(pack_note(text))
        except OSError:  # the stream has ended, which `next` tells
            return

    def close(self) -> None:
        """End; a call of `next` that waits returns `None`. Safe to call twice."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._view = None  # the memory itself goes with the last frame that lies in it
        with contextlib.suppress(OSError):  # the other end may be gone
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
