"""Newline-JSON WebRTC signalling over TCP, as spoken by aiortc's `TcpSocketSignaling`.

The server speaks first: the connection waits for the session that names the listener, then for its
pod; the pod's offer goes to the client and the client's answer to the pod, line by line. The router
reads each message because it has to change the addresses in it. These clients send no token, so
only Public sessions are served.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from podstream_core.agentapi import ConnectionGrant, Protocol
from podstream_core.api import SessionKey
from podstream_router import sdp
from podstream_router.access import random_holder
from podstream_router.admission import Places
from podstream_router.advertise import Advertised
from podstream_router.agent import STREAM_BUFFER_BYTES, AgentClient, PodStream
from podstream_router.errors import Overloaded, Refusal, SessionEnded, TryAgain
from podstream_router.hints import Hints
from podstream_router.lines import LineError, LineReader
from podstream_router.metrics import RouterMetrics
from podstream_router.placement import Placement
from podstream_router.protocols import workload_for
from podstream_router.routes import PodRoute, RouteTable, SessionRoute, Topic, listener_topic
from podstream_router.whep import rewrite_for_clients

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S: Final = 30.0
"""A client that got the offer must say something within this time."""
WRITE_TIMEOUT_S: Final = 10.0
CLOSING_S: Final = 5.0
"""After one side has ended the other gets this long to end too."""
_DESCRIPTIONS: Final = ("offer", "answer")
_SIGNALLING: Final = Protocol.SIGNALLING.value

Rewrite = Callable[[dict[str, Any]], dict[str, Any] | None]
"""A message as it may pass; `None` drops it."""


@dataclass(slots=True)
class ListenerTarget:
    """The oldest session that names a listener."""

    listener: str
    routes: RouteTable
    ended: set[str] = field(default_factory=set)
    """Sessions whose pod says that they are over, ahead of the watch."""

    @property
    def topic(self) -> Topic:
        """The listener."""
        return listener_topic(self.listener)

    def find(self) -> SessionRoute | None:
        """The session that is next on this listener."""
        return self.routes.session_for_listener(self.listener, excluded=self.ended)


class SignallingListener:
    """One listening port."""

    def __init__(
        self,
        name: str,
        *,
        routes: RouteTable,
        placement: Placement,
        agent: AgentClient,
        advertised: Advertised,
        held: Places,
        open_places: Places,
        hints: Hints,
        metrics: RouterMetrics,
    ) -> None:
        self._name = name
        self._routes = routes
        self._placement = placement
        self._agent = agent
        self._advertised = advertised
        self._held = held
        self._open_places = open_places
        self._hints = hints
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Open the socket; return its port.

        Raises:
            OSError: the port cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = await asyncio.start_server(
            self._accept, host, port, limit=STREAM_BUFFER_BYTES, family=family, backlog=256
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop_accepting(self) -> None:
        """Close the socket; open connections go on."""
        if self._server is not None:
            self._server.close()

    async def close(self, *, drain_s: float) -> None:
        """Give open connections a time to end and close them."""
        self.stop_accepting()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name=f"signalling:{self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        source = str(peer[0]) if peer else "unknown"
        _keep_alive(writer)
        gauge = self._metrics.open_connections.labels(_SIGNALLING)
        gauge.inc()
        result = "Abandoned"
        try:
            with self._open_places.place(source):
                result = await self._connect(LineReader(reader), writer, source)
        except Refusal as refusal:
            result = refusal.error
            logger.info(
                "connection refused",
                extra={"listener": self._name, "error": result, "cause": refusal.message},
            )
        except Exception:
            result = "Internal"
            logger.exception("signalling connection failed", extra={"listener": self._name})
        finally:
            gauge.dec()
            self._metrics.connections.labels(_SIGNALLING, result).inc()
            await _close(writer)

    async def _connect(self, lines: LineReader, writer: asyncio.StreamWriter, source: str) -> str:
        """Hold the client until a pod takes it, then pass messages; return the result.

        Raises:
            Refusal: no pod takes the client.
        """
        early = asyncio.create_task(lines.read())
        placing = asyncio.create_task(self._place(source))
        try:
            await asyncio.wait({early, placing}, return_when=asyncio.FIRST_COMPLETED)
            if not placing.done() and _has_left(early):
                return "Abandoned"
            bound = await placing
            self._report(bound, "connection bound")
            try:
                return await self._pass(bound, lines=lines, writer=writer, early=early)
            finally:
                self._report(bound, "connection ended")
        finally:
            await _discard(early)
            await _discard(placing)
            if not placing.cancelled() and placing.exception() is None:
                await _close(placing.result().stream.writer)

    async def _place(self, source: str) -> "_Bound":
        target = ListenerTarget(self._name, self._routes)
        holder = random_holder()

        async def attempt(session: SessionRoute, pod: PodRoute) -> _Bound:
            workload, role = workload_for(session, protocol=Protocol.SIGNALLING)
            grant = ConnectionGrant(
                session_uid=session.uid,
                workload=workload,
                role=role,
                protocol=Protocol.SIGNALLING,
                holder=holder,
                client_address=source,
            )
            try:
                stream = await self._agent.open_stream(pod, grant=grant)
            except SessionEnded as error:
                # The next session on this listener may be waiting for just this client.
                target.ended.add(session.uid)
                raise TryAgain(error.message) from error
            return _Bound(session.key, pod, stream)

        with self._held.place(source):
            return await self._placement.place(target, attempt, protocol=_SIGNALLING)

    async def _pass(
        self,
        bound: "_Bound",
        *,
        lines: LineReader,
        writer: asyncio.StreamWriter,
        early: asyncio.Task[bytes | None],
    ) -> str:
        """Pass messages both ways until both sides have ended; return the result."""

        def for_client(message: dict[str, Any]) -> dict[str, Any] | None:
            return self._for_client(message, pod=bound.pod)

        from_pod = asyncio.create_task(
            _pump(_lines(LineReader(bound.stream.reader)), writer, rewrite=for_client)
        )
        from_client = asyncio.create_task(
            _pump(_client_lines(early, lines), bound.stream.writer, rewrite=_for_pod)
        )
        pumps = {from_pod, from_client}
        try:
            done, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if not any(task.exception() for task in done):
                # One side has ended in order: the other may still have a last word.
                await asyncio.wait(pending, timeout=CLOSING_S)
            faults = [fault for task in pumps if task.done() and (fault := task.exception())]
        finally:
            for task in pumps:
                await _discard(task)
        for fault in faults:
            if not isinstance(fault, _EXPECTED):
                raise fault
            logger.info(
                "signalling broke off",
                extra={"session": str(bound.key), "cause": str(fault) or type(fault).__name__},
            )
        return "Broken" if faults else "Bound"

    def _for_client(self, message: dict[str, Any], *, pod: PodRoute) -> dict[str, Any] | None:
        if message["type"] == "bye":
            return {"type": "bye"}
        if message["type"] not in _DESCRIPTIONS:
            return None
        addresses = self._advertised.addresses
        if not addresses:
            raise Overloaded("the router's media address is not resolved yet")
        text = rewrite_for_clients(_sdp_of(message), pod=pod, addresses=addresses)
        return {"sdp": text, "type": message["type"]}

    def _report(self, bound: "_Bound", text: str) -> None:
        self._hints.send(bound.key)
        extra = {"session": str(bound.key), "pod": bound.pod.name, "listener": self._name}
        logger.info(text, extra={**extra, "connection": bound.stream.connection})


@dataclass(frozen=True, slots=True)
class _Bound:
    """A client's place in a pod."""

    key: SessionKey
    pod: PodRoute
    stream: PodStream


_EXPECTED: Final = (LineError, Refusal, OSError, TimeoutError)
"""Faults of a peer or of the network; anything else is a fault of this program."""


def _for_pod(message: dict[str, Any]) -> dict[str, Any] | None:
    kind = message["type"]
    if kind == "bye":
        return {"type": "bye"}
    if kind == "candidate":
        return None
    if kind not in _DESCRIPTIONS:
        raise LineError(f"a message of type {str(kind)[:40]!r} is not known")
    try:
        text = _sdp_of(message)
        sdp.check_ice(text)
        return {"sdp": sdp.strip_candidates(text), "type": kind}
    except sdp.SdpError as error:
        raise LineError(f"the {kind} {error}") from error


def _sdp_of(message: dict[str, Any]) -> str:
    text = message.get("sdp")
    if not isinstance(text, str):
        raise LineError(f"the {message['type']} has no sdp")
    return text


async def _pump(
    lines: AsyncIterator[bytes], writer: asyncio.StreamWriter, *, rewrite: Rewrite
) -> None:
    """Pass messages in one direction until the sender ends, then pass the end on."""
    async for line in lines:
        try:
            message = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LineError("a line is no JSON object") from error
        if "type" not in message:
            raise LineError("a message has no type")
        passed = rewrite(message)
        if passed is None:
            continue
        writer.write(msgspec.json.encode(passed, order="deterministic") + b"\n")
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _lines(lines: LineReader) -> AsyncIterator[bytes]:
    while (line := await lines.read()) is not None:
        yield line


async def _client_lines(
    early: asyncio.Task[bytes | None], lines: LineReader
) -> AsyncIterator[bytes]:
    """Lines of a client; the first has been waited for since the client came."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            line = await early
    except TimeoutError as error:
        raise LineError(f"no answer within {ANSWER_TIMEOUT_S:g} s") from error
    while line is not None:
        yield line
        line = await lines.read()


def _has_left(early: asyncio.Task[bytes | None]) -> bool:
    """Whether a held client has closed its connection, or sends junk."""
    return early.done() and (early.exception() is not None or early.result() is None)


async def _discard(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is over, whatever its outcome."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; a peer that does not read what is left is cut off."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSING_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Find dead peers: a signalling connection is silent for as long as media flows."""
    sock = writer.get_extra_info("socket")
    if sock is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
