"""The original's signalling: newline-terminated JSON over TCP, the server offers.

Messages as aiortc's `TcpSocketSignaling` writes them, keys sorted:
`{"sdp": ..., "type": "offer" | "answer"}`, `{"candidate": ..., "type": "candidate"}`,
`{"type": "bye"}`. Candidates lie inside the SDP; separate ones are ignored.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass

from aiortc import RTCSessionDescription

MAX_LINE = 64 * 1024


class SignallingError(Exception):
    """The peer said something that cannot be used, or nothing in time."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The peer leaves: `bye`, or the end of its stream."""


class SignallingChannel:
    """One end of a signalling connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, description: RTCSessionDescription) -> None:
        """Send an offer or an answer."""
        await self._write({"sdp": description.sdp, "type": description.type})

    async def send_bye(self) -> None:
        """Say that this end leaves; a peer that is gone already is no error."""
        with contextlib.suppress(OSError):
            await self._write({"type": "bye"})

    async def receive(self) -> RTCSessionDescription | Bye:
        """The next offer, answer or goodbye.

        Raises:
            SignallingError: a line is too long or no JSON object.
        """
        while True:
            try:
                line = await self._reader.readline()
            except ValueError as error:
                raise SignallingError(f"a line is longer than {MAX_LINE} bytes") from error
            except OSError:
                return Bye()
            if not line:
                return Bye()
            message = _parse(line)
            kind = message.get("type")
            if kind == "bye":
                return Bye()
            if kind in ("offer", "answer"):
                sdp = message.get("sdp")
                if not isinstance(sdp, str):
                    raise SignallingError(f"{kind} without sdp")
                return RTCSessionDescription(sdp=sdp, type=kind)

    async def close(self) -> None:
        """Close the connection; it never raises."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self._writer.wait_closed()

    async def _write(self, message: dict[str, str]) -> None:
        self._writer.write(json.dumps(message, sort_keys=True).encode() + b"\n")
        await self._writer.drain()


def _parse(line: bytes) -> dict[str, object]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SignallingError(f"not JSON: {line[:80]!r}") from error
    if not isinstance(message, dict):
        raise SignallingError(f"not a JSON object: {line[:80]!r}")
    return message
