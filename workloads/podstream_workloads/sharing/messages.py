"""What the two ends say to each other, on a unix socket of type SOCK_SEQPACKET.

The reader says `NEXT`: it wants the newest frame and is done with the one before. The server
answers, now or when there is one, with a `FrameMessage` that says where the frame lies; a message
about a new piece of memory carries its descriptor. One such question is under way at most, so the
server never waits for a reader, and both ends see each other's end at once. A reader may also say a
line that the stream's publisher is to hear.
"""

import struct
from typing import Final, NamedTuple, Self

NEXT: Final = b"\x00"
_NOTE: Final = b"\x01"
MAX_NOTE_BYTES: Final = 512
MAX_BYTES: Final = 1 + MAX_NOTE_BYTES
"""Longest message of a reader."""

_FORMAT: Final = struct.Struct("=IQIIQd?qq")
_UNKNOWN: Final = -1
MESSAGE_BYTES: Final = _FORMAT.size


class Mark(NamedTuple):
    """By what a publisher knows its frame, where it came by WebRTC."""

    pts: int
    """Ticks of 1/90000 s since the connection's first frame."""
    rtp_timestamp: int | None
    """Of its packets (RFC 3550), 0 to 2^32 - 1."""


class FrameMessage(NamedTuple):
    """Where a frame lies, and which one it is."""

    memory: int
    """Number of the piece of shared memory; each is followed by larger numbers only."""
    offset: int
    """Bytes from its start."""
    width: int
    """Pixels, of 3 bytes (BGR), rows without gaps."""
    height: int
    sequence: int
    """Number of the frame within the stream, from 1; what is missing was missed."""
    at: float
    """When it was there, seconds of CLOCK_MONOTONIC, which is the same for all processes."""
    mark: Mark | None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.width * self.height * 3

    def pack(self) -> bytes:
        """As it goes over the socket."""
        mark = self.mark
        rtp = None if mark is None else mark.rtp_timestamp
        return _FORMAT.pack(
            self.memory,
            self.offset,
            self.width,
            self.height,
            self.sequence,
            self.at,
            mark is not None,
            0 if mark is None else mark.pts,
            _UNKNOWN if rtp is None else rtp,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a message.

        Raises:
            ValueError: it has another length.
        """
        try:
            memory, offset, width, height, number, at, is_marked, pts, rtp = _FORMAT.unpack(data)
        except struct.error as error:
            raise ValueError(str(error)) from error
        mark = Mark(pts, None if rtp == _UNKNOWN else rtp) if is_marked else None
        return cls(memory, offset, width, height, number, at, mark)


def pack_note(text: str) -> bytes:
    """A line for the publisher, cut where it is too long."""
    return _NOTE + text.encode()[:MAX_NOTE_BYTES]


def read_note(data: bytes) -> str | None:
    """The line of a message that is one."""
    return data[1:].decode(errors="replace") if data.startswith(_NOTE) else None
