"""Opens a byte stream to a workload: one line with a token, one line of answer, then bytes."""

import asyncio
import socket
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
from podstream_router.errors import PodFailed, TryAgain, UnknownRole
from podstream_router.routes import PodRoute

STREAM_BUFFER_BYTES: Final = 64 * 1024
PREAMBLE_TIMEOUT_S: Final = 15.0
SILENCE_S: Final = 20
"""After which a pod that does not even acknowledge probes is taken for lost."""
_MAX_REPLY_LINE: Final = 8 * 1024
_STATUS: Final = {"Busy": 409, "NotReady": 425, "SessionEnded": 410}
"""The HTTP status that says the same."""


@dataclass(frozen=True, slots=True)
class PodStream:
    """A raw TCP connection to the workload, past the preamble."""

    connection: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(frozen=True, slots=True)
class RawStream:
    """The same as a non-blocking socket, for connections that are joined in the kernel."""

    connection: str
    sock: socket.socket
    early: bytes
    """What the workload has said already."""


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


async def open_raw_stream(
    transport: Transport, pod: PodRoute, *, grant: ConnectionGrant
) -> RawStream:
    """Connect to the workload's byte stream; the caller closes the socket.

    Raises:
        TryAgain: the agent does not answer, or the workload is not ready.
        Refusal: the slot is taken or the session is over.
    """
    for signer in transport.signers:
        token = connection_token(signer, pod, grant)
        sock = await _dial_raw(pod, transport.ports.stream)
        connection = ""
        try:
            connection, early = await _preamble_raw(sock, token)
        finally:
            if not connection:
                sock.close()
        if connection:
            return RawStream(connection, sock, early)
    raise KeysUnknown


async def _dial_raw(pod: PodRoute, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in pod.ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        _watch_over(sock)
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            await asyncio.get_running_loop().sock_connect(sock, (pod.ip, port))
    except (OSError, TimeoutError) as error:
        sock.close()
        raise TryAgain(f"the pod does not answer: {cause_of(error)}") from error
    except asyncio.CancelledError:
        sock.close()
        raise
    return sock


def _watch_over(sock: socket.socket) -> None:
    """Pass small messages on at once, and notice a pod that went without a word."""
    for name, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, SILENCE_S // 2),
        (socket.TCP_KEEPINTVL, SILENCE_S // 4),
        (socket.TCP_KEEPCNT, 2),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, name, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


async def _preamble_raw(sock: socket.socket, token: str) -> tuple[str, bytes]:
    """Show the token; the connection's id and what came after the answer."""
    loop = asyncio.get_running_loop()
    seen = b""
    try:
        async with asyncio.timeout(PREAMBLE_TIMEOUT_S):
            await loop.sock_sendall(sock, msgspec.json.encode({"token": token}) + b"\n")
            while b"\n" not in seen:
                part = await loop.sock_recv(sock, STREAM_BUFFER_BYTES)
                if not part:
                    raise TryAgain("the pod does not answer: it closed the connection")
                seen += part
                if len(seen) > STREAM_BUFFER_BYTES:
                    raise PodFailed("the session's pod answers with an endless line")
    except (OSError, TimeoutError) as error:
        raise TryAgain(f"the pod does not answer: {cause_of(error)}") from error
    line, _, early = seen.partition(b"\n")
    return _judge(line), early


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
    return _judge(line)


def _judge(line: bytes) -> str:
    """The connection's id in the pod's answer; empty where the pod does not know the key.

    Raises:
        Refusal: the pod refuses, or does not answer as agreed.
    """
    if len(line) > _MAX_REPLY_LINE:
        raise PodFailed("the session's pod answers with a line that is too long")
    try:
        reply = msgspec.json.decode(line, type=_StreamReply)
    except msgspec.DecodeError as error:
        raise PodFailed(f"the session's pod does not answer as agreed: {error}") from error
    if reply.error == "InvalidToken":
        return ""
    if reply.error == "UnknownRole":
        raise UnknownRole(reply.message)
    if not reply.ok:
        status = _STATUS.get(reply.error, 502)
        refuse(status, ErrorBody(error=reply.error, message=reply.message))
    if not reply.connection:
        raise PodFailed("the session's pod named no connection")
    return reply.connection
