"""The stream port: raw TCP connections that the router forwards (docs/adr/0002-contract.md).

The router sends one line of JSON with a token, the agent answers one line, and from then on the
socket belongs to the workload: it is passed to the child process, bytes and all. So nothing may be
read past the first line: bytes are looked at before they are taken.
"""

import asyncio
import json
import logging
import socket
from typing import Final

import msgspec
from prometheus_client import Counter

from podstream_core.agentapi import Protocol
from podstream_core.api.base import ApiValue
from podstream_workloads.agent.agent import Agent
from podstream_workloads.agent.errors import Refusal

logger = logging.getLogger(__name__)

MAX_PREAMBLE_BYTES: Final = 8 * 1024
BACKLOG: Final = 128
_ANSWER_TIMEOUT_S: Final = 5.0
_ACCEPT_PAUSE_S: Final = 0.2


class StreamPreamble(ApiValue, frozen=True, kw_only=True):
    """The router's first line."""

    token: str


class StreamPort:
    """Accepts raw TCP connections, checks who they are for, hands them over."""

    def __init__(
        self,
        agent: Agent,
        *,
        group: asyncio.TaskGroup,
        max_connections: int,
        timeout_s: float,
        rejected: Counter,
    ) -> None:
        """Prepare a port.

        Args:
            agent: admits connections.
            group: owner of one task per connection.
            max_connections: connections at once that have not been handed over yet.
            timeout_s: for the whole first line.
            rejected: counts peers by port and reason.
        """
        self._agent = agent
        self._group = group
        self._places = asyncio.Semaphore(max_connections)
        self._timeout_s = timeout_s
        self._rejected = rejected
        self._listeners: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []

    def open(self, *, host: str | None, port: int) -> int:
        """Listen; return the port number.

        Raises:
            OSError: the port is taken or the address is not ours.
        """
        is_dual = host is None and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if is_dual or (host and ":" in host) else socket.AF_INET
        listener = socket.create_server(
            (host or "", port), family=family, dualstack_ipv6=is_dual, backlog=BACKLOG
        )
        listener.setblocking(False)
        self._listeners.append(listener)
        self._tasks.append(self._group.create_task(self._accept(listener), name="stream-port"))
        return int(listener.getsockname()[1])

    async def close(self) -> None:
        """Stop listening and close every connection that was not handed over."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                # Full: peers wait in the kernel's backlog, each place is free within the timeout.
                await self._places.acquire()
                try:
                    sock, _peer = await loop.sock_accept(listener)
                except OSError as error:
                    # Out of descriptors, or the peer has gone: neither ends the port.
                    logger.warning("accept failed: %s", error)
                    self._places.release()
                    await asyncio.sleep(_ACCEPT_PAUSE_S)
                    continue
                except asyncio.CancelledError:
                    self._places.release()
                    raise
                group.create_task(self._serve(sock), name="stream")

    async def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                await self._admit(sock)
        except OSError as error:
            logger.debug("stream peer went away: %s", error)
        except Exception:
            # A fault that one peer can set off must not end the pod of another.
            logger.exception("stream connection failed")
        finally:
            self._places.release()

    async def _admit(self, sock: socket.socket) -> None:
        connections = self._agent.connections
        try:
            token = await self._read_token(sock)
            grant = self._agent.authorize_connection(token)
            if grant.protocol in (Protocol.WHEP, Protocol.WHIP):
                message = f"the token grants {grant.protocol}: use the connect port"
                raise Refusal(401, "InvalidToken", message)
            connection = await connections.open_stream(grant)
        except Refusal as refusal:
            await _send(sock, msgspec.json.encode(refusal.body.to_body()))
            return
        is_handed_over = False
        try:
            # Before the socket is handed over, because the workload may write first.
            await _send(sock, json.dumps({"ok": True, "connection": connection.id}).encode())
            is_handed_over = connections.hand_over(connection, sock)
        finally:
            if not is_handed_over:
                await connections.disconnect(connection.id)

    async def _read_token(self, sock: socket.socket) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await _read_line(sock, limit=MAX_PREAMBLE_BYTES)
        except TimeoutError as error:
            self._rejected.labels("stream", "too slow").inc()
            message = f"the first line did not arrive within {self._timeout_s:g} s"
            raise Refusal(408, "TooSlow", message) from error
        try:
            return msgspec.json.decode(line, type=StreamPreamble).token
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, "BadPreamble", f"the first line cannot be read: {error}") from error


async def _read_line(sock: socket.socket, *, limit: int) -> bytes:
    """Take bytes up to and including the first newline, and none after it.

    Raises:
        Refusal: no newline within `limit` bytes, or the peer has closed.
    """
    line = b""
    while True:
        await _readable(sock)
        try:
            seen = sock.recv(limit - len(line), socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not seen:
            raise Refusal(400, "BadPreamble", "the connection ended before its first line")
        end = seen.find(b"\n")
        # What is peeked at without a newline is taken, so that the socket is not readable again
        # until there is more.
        line += sock.recv(len(seen) if end < 0 else end + 1)
        if end >= 0:
            return line
        if len(line) >= limit:
            raise Refusal(400, "BadPreamble", f"the first line has more than {limit} bytes")


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        loop.remove_reader(sock)
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, wake)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


async def _send(sock: socket.socket, line: bytes) -> None:
    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
        await asyncio.get_running_loop().sock_sendall(sock, line + b"\n")
