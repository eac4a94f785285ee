"""Shared memory that is used again: making pages costs ten times more than reusing them.

A segment is an anonymous file. The process that talks to clients reads and writes it by
`pread` and `pwrite` and never maps it: its own memory stays small whatever it passes on, and a
worker that shortens the file can only make reads short, never kill the reader.
"""

import os
import threading
from typing import Final

_PAGE: Final = 4096
_MAX_KEPT: Final = 8
"""Free segments that are kept."""


class Segment:
    """One piece of shared memory."""

    def __init__(self, capacity: int) -> None:
        self.fd = os.memfd_create("podstream-image", os.MFD_CLOEXEC)
        self.capacity = 0
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Make room for at least so many bytes; pages come when they are used."""
        rounded = -(-max(capacity, 1) // _PAGE) * _PAGE
        if rounded > self.capacity:
            os.ftruncate(self.fd, rounded)
            self.capacity = rounded

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Put bytes at an offset below the capacity."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self.fd, view, offset)
            offset += written
            view = view[written:]

    def read(self, offset: int, count: int) -> bytes:
        """Bytes from an offset on; fewer at the end of the segment."""
        return os.pread(self.fd, count, offset)

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.fd)


class SegmentSource:
    """The first bytes of a segment, as the header's parsers read them."""

    def __init__(self, segment: Segment, size: int) -> None:
        self._segment = segment
        self.size = size

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on."""
        return self._segment.read(offset, max(0, min(count, self.size - offset)))


class SegmentPool:
    """Free segments; safe to use from several threads."""

    def __init__(self, *, keep_bytes: int) -> None:
        """`keep_bytes`: bytes of free segments that are kept for later."""
        self._keep_bytes = keep_bytes
        self._free: list[Segment] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def take(self, capacity: int) -> Segment:
        """A segment with room for so many bytes; what it holds is of no meaning."""
        with self._lock:
            fitting = [item for item in self._free if item.capacity >= capacity]
            chosen = min(fitting or self._free[-1:], key=_capacity, default=None)
            if chosen is not None:
                self._free.remove(chosen)
        if chosen is None:
            return Segment(capacity)
        chosen.grow(capacity)
        return chosen

    def give(self, segment: Segment) -> None:
        """Take a segment back."""
        with self._lock:
            kept = sum(item.capacity for item in self._free)
            is_welcome = len(self._free) < _MAX_KEPT and kept + segment.capacity <= self._keep_bytes
            if is_welcome and not self._is_closed:
                self._free.append(segment)
                return
        segment.close()

    def close(self) -> None:
        """Free all; segments that are still in use are closed when they come back."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for segment in free:
            segment.close()


def _capacity(segment: Segment) -> int:
    return segment.capacity
