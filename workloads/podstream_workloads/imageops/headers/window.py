"""Reads a file that lies elsewhere by small pieces, without a system call for each of them."""

from typing import Final, Protocol

from podstream_workloads.imageops.headers.claims import BadPicture

BLOCK_BYTES: Final = 64 * 1024


class Source(Protocol):
    """Bytes of known number that can be read anywhere."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on."""
        ...


class BytesSource:
    """A source in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """See `Source`."""
        return len(self._data)

    def read(self, offset: int, count: int) -> bytes:
        """See `Source`."""
        return self._data[offset : offset + count]


class Window:
    """A source with one block of it at hand."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._begin = 0
        self._block = b""

    @property
    def size(self) -> int:
        """Bytes of the whole source."""
        return self._source.size

    def block_at(self, offset: int) -> bytes:
        """Some bytes from `offset` on; none at the end."""
        return self._source.read(offset, BLOCK_BYTES)

    def get(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes.

        Raises:
            BadPicture: the file ends before that.
        """
        begin = offset - self._begin
        if begin < 0 or begin + count > len(self._block):
            self._begin, begin = offset, 0
            self._block = self._source.read(offset, max(BLOCK_BYTES, count))
        piece = self._block[begin : begin + count]
        if len(piece) < count:
            raise BadPicture(f"the file ends inside its structure, at byte {self.size}")
        return piece

    def number(self, offset: int, count: int, *, big: bool) -> int:
        """An unsigned number of `count` bytes."""
        return int.from_bytes(self.get(offset, count), "big" if big else "little")
