"""Where the fragments of an MP4 file lie while it is being written.

Each is a `moof` and its `mdat` (ISO/IEC 14496-12, section 8.8) and begins with a key picture, so a
player can begin with any of them. FFmpeg's hybrid mode leaves their bytes in place when it gives
the finished file its ordinary index: a fragment's place is for good.

Each file begins at zero, and a playlist of several goes on: the fragments' times (`tfdt`, section
8.8.12) are moved in place. A finished file's own index does not look at them.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct(">I4s")
_LARGE: Final = struct.Struct(">Q")
_TIME: Final = struct.Struct(">I4sB3xQ")
"""A `tfdt` of version 1: its size, kind, version, flags, and time."""
_INITIAL: Final = (b"ftyp", b"moov")
"""What a player needs before the first fragment."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a file that plays by itself, after the file's initial part."""

    offset: int
    """Bytes before it."""
    size: int
    """Bytes of it."""
    seconds: float


class Fragments:
    """The fragments of one file, as they come to be."""

    def __init__(self, *, clock: int) -> None:
        """`clock`: units a second of the file's times."""
        self._clock = clock
        self.begins_at = 0.0
        """Playing time of what the playlist has before this file, seconds."""
        self.initial = b""
        """Boxes before the first fragment, once they are there."""
        self._is_open = False
        self._position = 0
        self._places: list[tuple[int, int]] = []
        self._starts: list[float] = []
        self._taken = 0

    def begin(self, seconds: float) -> None:
        """A key picture of this time begins a fragment, and ends the one before."""
        self._starts.append(seconds)

    def take(self, path: Path, *, end: float | None = None) -> list[Fragment]:
        """Fragments that are whole and were not taken yet.

        Args:
            path: the file, as it is called now.
            end: playing time of the whole file, seconds, where it is finished.

        Raises:
            OSError: it cannot be read.
        """
        # The initial part is looked for at once: in a finished file it lies inside another box.
        if self._is_open and len(self._starts) <= self._taken + (end is None):
            return []
        self._scan(path)
        ends = [*self._starts[1:], *([] if end is None else [end])]
        found = [
            Fragment(offset, size, max(until - start, 0.0))
            for (offset, size), start, until in zip(self._places, self._starts, ends, strict=False)
        ][self._taken :]
        self._taken += len(found)
        return found

    def _scan(self, path: Path) -> None:
        """Follow the boxes from where the last scan has ended."""
        with path.open("r+b") as file:
            length = file.seek(0, 2)
            moof: int | None = None
            position = self._position
            while position + _HEADER.size <= length:
                file.seek(position)
                size, kind = _HEADER.unpack(file.read(_HEADER.size))
                if size == 1:
                    (size,) = _LARGE.unpack(file.read(_LARGE.size))
                if size < _HEADER.size or position + size > length:
                    return  # it is still being written
                if not self._is_open and kind in _INITIAL:
                    file.seek(position)
                    self.initial += file.read(size)
                    self._is_open = kind == b"moov"
                if kind == b"moof":
                    moof = position
                position += size
                if kind == b"mdat" and moof is not None:
                    self._places.append((moof, position - moof))
                    self._move(file, moof)
                    moof = None
                if moof is None:
                    self._position = position

    def _move(self, file: BinaryIO, moof: int) -> None:
        """Have a fragment begin where the playlist has come to."""
        file.seek(moof)
        size, _ = _HEADER.unpack(file.read(_HEADER.size))
        file.seek(moof)
        content = file.read(size)
        at = content.find(b"tfdt") - 4
        if self.begins_at <= 0 or at < 0:
            return
        length, kind, version, time = _TIME.unpack_from(content, at)
        if version == 1:
            moved = time + round(self.begins_at * self._clock)
            file.seek(moof + at)
            file.write(_TIME.pack(length, kind, version, moved))
