"""Reads newline-terminated messages from a peer that may be slow, silent or hostile."""

import asyncio
from typing import Final

MAX_LINE_BYTES: Final = 64 * 1024
LINE_TIMEOUT_S: Final = 10.0
"""A line that was begun must be complete within this time."""
_CHUNK: Final = 16 * 1024


class LineError(Exception):
    """The peer does not keep the format; the message says how."""


class LineReader:
    """Lines of a stream, at most `MAX_LINE_BYTES` long."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = bytearray()

    async def read(self, *, idle_s: float | None = None) -> bytes | None:
        """The next line without its end; `None` at the end of the stream.

        Args:
            idle_s: Longest wait for the first byte, seconds; without it there is no limit.

        Raises:
            LineError: the line is too long, too slow, or not complete at the end of the stream.
        """
        if not self._buffer and not await self._fill(idle_s, "nothing was sent"):
            return None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LINE_TIMEOUT_S
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE_BYTES:
                break
            left = max(0.0, deadline - loop.time())
            if not await self._fill(left, "a line was begun and not ended"):
                raise LineError("the stream ended inside a line")
        if end < 0 or end > MAX_LINE_BYTES:
            raise LineError(f"a line may have {MAX_LINE_BYTES} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    async def _fill(self, timeout_s: float | None, fault: str) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                data = await self._reader.read(_CHUNK)
        except TimeoutError as error:
            raise LineError(f"{fault} for too long") from error
        self._buffer += data
        return bool(data)
