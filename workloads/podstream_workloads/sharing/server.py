"""The stream's end: puts frames into shared memory and tells each reader where the newest one is.

A reader has one place at a time, until it asks for the next frame: nobody writes there meanwhile,
so a frame is read where it lies. There is a place for each reader, one for the newest frame, and
one to write to; whoever is slow misses frames, whoever ends gives its place back, and the stream
waits for none of them.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.sharing.memory import Memory
from podstream_workloads.sharing.messages import MAX_BYTES, NEXT, FrameMessage, Mark, read_note

logger = logging.getLogger(__name__)


class _Reader:
    """What the server knows of a reader."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.wants = False
        self.has: FrameMessage | None = None
        self.seen = 0
        """Sequence of the last frame that it was told of."""
        self.memory = 0
        """Number of the memory whose descriptor it has."""


class FrameServer:
    """Shares the frames of one stream. Used on one event loop."""

    def __init__(self, path: Path, *, on_note: Callable[[str], None] = lambda _: None) -> None:
        """Prepare.

        Args:
            path: of the unix socket, which is made by `open`.
            on_note: gets what readers say to the stream's publisher.
        """
        self._path = path
        self._on_note = on_note
        self._listener: socket.socket | None = None
        self._readers: list[_Reader] = []
        self._memory: Memory | None = None
        self._memories = 0
        self._newest: FrameMessage | None = None

    @property
    def readers(self) -> int:
        """Connected now."""
        return len(self._readers)

    def open(self) -> None:
        """Let readers come.

        Raises:
            OSError: the socket cannot be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            listener.bind(str(self._path))
            listener.listen(8)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def offer(
        self, frame: NDArray[np.uint8], *, sequence: int, at: float, mark: Mark | None = None
    ) -> None:
        """Make a frame the newest one; it is copied, and only where somebody reads. Never waits.

        Args:
            frame: (height, width, 3), BGR.
            sequence: its number, larger than that of the one before.
            at: when it was there, seconds of CLOCK_MONOTONIC.
            mark: by what its publisher knows it.
        """
        if not self._readers:
            self._newest = None  # a reader that comes later begins with a frame of its time
            return
        memory = self._memory_for(frame.size)
        height, width, _ = frame.shape
        newest = FrameMessage(
            memory.number,
            memory.write(frame, taken=self._taken(memory.number)),
            width,
            height,
            sequence,
            at,
            mark,
        )
        self._newest = newest
        for reader in list(self._readers):
            if reader.wants:
                self._tell(reader, newest)

    def close(self) -> None:
        """Let readers see the end; nothing of them is left here."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)
        for reader in list(self._readers):
            self._forget(reader)
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _memory_for(self, size: int) -> Memory:
        """Memory with places that are large enough, and one more than can be taken."""
        memory, places = self._memory, len(self._readers) + 2
        if memory is not None and memory.places >= places and memory.place_bytes >= size:
            return memory
        self._memories += 1
        self._memory = Memory(self._memories, places=places, place_bytes=size)
        if memory is not None:
            memory.close()
        return self._memory

    def _taken(self, memory: int) -> set[int]:
        """Offsets of frames that are read, or that a reader may still ask for."""
        held = [reader.has for reader in self._readers]
        return {item.offset for item in (*held, self._newest) if item and item.memory == memory}

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            sock, _ = listener.accept()
            sock.setblocking(False)
            reader = _Reader(sock)
            self._readers.append(reader)
            asyncio.get_running_loop().add_reader(sock, self._hear, reader)

    def _hear(self, reader: _Reader) -> None:
        try:
            data = reader.sock.recv(MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(reader)
        elif data == NEXT:
            reader.has, reader.wants = None, True
            newest = self._newest
            if newest is not None and newest.sequence > reader.seen:
                self._tell(reader, newest)
        else:
            note = read_note(data)
            if note is not None:
                self._on_note(note)

    def _tell(self, reader: _Reader, frame: FrameMessage) -> None:
        memory = self._memory
        assert memory is not None  # the newest frame lies in it
        fds = [] if reader.memory == memory.number else [memory.fd]
        try:
            socket.send_fds(reader.sock, [frame.pack()], fds)
        except OSError as error:
            # It asked and read nothing since: its process is gone, or about to be.
            logger.warning("a reader of the stream's frames is gone: %s", error)
            self._forget(reader)
            return
        reader.memory = memory.number
        reader.has, reader.wants, reader.seen = frame, False, frame.sequence

    def _forget(self, reader: _Reader) -> None:
        asyncio.get_running_loop().remove_reader(reader.sock)
        reader.sock.close()
        self._readers.remove(reader)
