"""Opens a byte stream to a workload: one line with a token, one line of answer, then bytes."""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec

from podstream_core.agentapi import ConnectionGrant, ErrorBody
from podstream_router.agent.transport import (
    DIAL_TIMEOUT_S,
    KeysUnknown,
    Transport,
    cause_of,
    connection_token,
    refuse,
)
from podstream_router.errors import PodFailed, TryAgain
from podstream_router.routes import PodRoute

STREAM_BUFFER_BYTES: Final = 64 * 1024
PREAMBLE_TIMEOUT_S: Final = 15.0
_MAX_REPLY_LINE: Final = 8 * 1024
_STATUS: Final = {"Busy": 409, "NotReady": 425, "SessionEnded": 410}
"""The HTTP status that says the same."""


@dataclass(frozen=True, slots=True)
class PodStream:
    """A raw TCP connection to the workload, past the preamble."""

    connection: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _StreamReply(msgspec.Struct, frozen=True):
    ok: bool = False
    connection: str = ""
    error: str = ""
    message: str = ""


async def open_stream(transport: Transport, pod: PodRoute, *, grant: ConnectionGrant) -> PodStream:
    """Connect to the workload's byte stream; the caller closes it.

    Raises:
        TryAgain: the agent does not answer, or the workload is not ready.
        Refusal: the slot is taken or the session is over.
    """
    for signer in transport.signers:
        token = connection_token(signer, pod, grant)
        reader, writer = await _dial(pod, transport.ports.stream)
        connection = ""
        try:
            connection = await _preamble(reader, writer, token)
        finally:
            if not connection:
                writer.close()
        if connection:
            return PodStream(connection, reader, writer)
    raise KeysUnknown


async def _dial(pod: PodRoute, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            return await asyncio.open_connection(pod.ip, port, limit=STREAM_BUFFER_BYTES)
    except (OSError, TimeoutError) as error:
        raise TryAgain(f"the pod does not answer: {cause_of(error)}") from error


async def _preamble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> str:
    """Show the token; the connection's id, empty where the pod does not know the key."""
    try:
        async with asyncio.timeout(PREAMBLE_TIMEOUT_S):
            writer.write(msgspec.json.encode({"token": token}) + b"\n")
            await writer.drain()
            line = await reader.readuntil(b"\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise TryAgain(f"the pod does not answer: {cause_of(error)}") from error
    except asyncio.LimitOverrunError as error:
        raise PodFailed("the session's pod answers with an endless line") from error
    if len(line) > _MAX_REPLY_LINE:
        raise PodFailed("the session's pod answers with a line that is too long")
    try:
        reply = msgspec.json.decode(line, type=_StreamReply)
    except msgspec.DecodeError as error:
        raise PodFailed(f"the session's pod does not answer as agreed: {error}") from error
    if reply.error == "InvalidToken":
        return ""
    if not reply.ok:
        status = _STATUS.get(reply.error, 502)
        refuse(status, ErrorBody(error=reply.error, message=reply.message))
    if not reply.connection:
        raise PodFailed("the session's pod named no connection")
    return reply.connection
