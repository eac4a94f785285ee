"""A piece of shared memory: places for frames, written by one process and read by others."""

import mmap
import os
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Memory:
    """Places of one size in an anonymous file, which ends with the last process that has it."""

    def __init__(self, number: int, *, places: int, place_bytes: int) -> None:
        """Make the file; its pages come when they are used.

        Raises:
            OSError: there is no memory.
        """
        self.number = number
        self.place_bytes = place_bytes
        self.places = places
        own = os.memfd_create("podstream-frames", os.MFD_CLOEXEC)
        try:
            os.ftruncate(own, places * place_bytes)
            self._map = mmap.mmap(own, places * place_bytes)
            # Opened anew, as readers must not be able to write into what others read.
            self.fd = os.open(f"/proc/self/fd/{own}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(own)

    def write(self, frame: NDArray[np.uint8], *, taken: Collection[int]) -> int:
        """Copy a frame into a place that is not taken; return its offset.

        There is one as long as fewer than `places` are taken.
        """
        size = self.place_bytes
        offset = next(i * size for i in range(self.places) if i * size not in taken)
        target: NDArray[Any] = np.frombuffer(self._map, np.uint8, frame.size, offset)
        np.copyto(target.reshape(frame.shape), frame)
        return offset

    def close(self) -> None:
        """Forget the memory; it stays with whoever has mapped it."""
        os.close(self.fd)
        self._map.close()


class MemoryView:
    """The memory as readers have it."""

    def __init__(self, fd: int) -> None:
        """Map what the descriptor leads to, which is closed.

        Raises:
            OSError: it cannot be mapped.
        """
        try:
            self._map = mmap.mmap(fd, os.fstat(fd).st_size, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)

    def frame(self, offset: int, *, width: int, height: int) -> NDArray[np.uint8]:
        """The frame at an offset, (height, width, 3), read-only and without a copy."""
        pixels = np.frombuffer(self._map, np.uint8, width * height * 3, offset)
        return pixels.reshape(height, width, 3)
