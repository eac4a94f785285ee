"""One signalling port: who comes, where they are taken, how they end.

The server speaks first: the connection waits for the session or pool that the listener leads to,
then for its pod; the pod's offer goes to the client and the client's answer to the pod, line by
line. The router reads each message because it has to change the addresses in it. These clients
send no token, so only Public sessions and pools are served. A pool's session is made once the
client has said something that makes sense: a port scan leaves none behind.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_core.logs import log_fields
from podstream_router.access import random_holder
from podstream_router.admission import Places
from podstream_router.advertise import Advertised
from podstream_router.agent import STREAM_BUFFER_BYTES, AgentClient, PodStream
from podstream_router.claims import Claims, Ticket
from podstream_router.errors import Refusal
from podstream_router.hints import Hints
from podstream_router.lines import LineReader
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.placement import Placement, Seat
from podstream_router.routes import PoolRoute, RouteTable
from podstream_router.signalling.messages import Message, for_client, for_pod
from podstream_router.signalling.pumps import (
    EXPECTED,
    client_lines,
    close,
    discard,
    has_left,
    is_junk,
    keep_alive,
    pod_lines,
    pump,
    pump_both,
)
from podstream_router.targets import ListenerTarget

logger = logging.getLogger(__name__)

SETTLE_S: Final = 0.02
"""A connection that is closed again within this time, or speaks another protocol, is a scan: no
pod is taken for it."""
_SIGNALLING: Final = Protocol.SIGNALLING.value


@dataclass(frozen=True, slots=True)
class _Bound:
    """A client's place in a pod."""

    seat: Seat
    stream: PodStream


class SignallingListener:
    """One listening port."""

    def __init__(
        self,
        name: str,
        *,
        routes: RouteTable,
        placement: Placement,
        claims: Claims,
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
        self._claims = claims
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

    async def _take(self, reader: LineReader, writer: asyncio.StreamWriter, *, source: str) -> str:
        """Serve a client to its end; the result, which is logged where it is a failure."""
        try:
            with self._open_places.place(source), self._claims.ticket(source=source) as ticket:
                return await self._connect(reader, writer, ticket)
        except Refusal as refusal:
            extra = {"error": refusal.error, "cause": refusal.message}
            logger.info("connection refused", extra=extra)
            return refusal.error
        except Exception:
            logger.exception("signalling connection failed")
            return "Internal"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        source = str(peer[0]) if peer else "unknown"
        keep_alive(writer)
        gauge = self._metrics.open_connections.labels(_SIGNALLING)
        gauge.inc()
        result = "Abandoned"
        try:
            with log_fields(listener=self._name):
                result = await self._take(LineReader(reader), writer, source=source)
        finally:
            gauge.dec()
            self._metrics.connections.labels(_SIGNALLING, result).inc()
            await close(writer)

    async def _connect(
        self, lines: LineReader, writer: asyncio.StreamWriter, ticket: Ticket
    ) -> str:
        """Hold the client until a pod takes it, then pass messages; return the result.

        Raises:
            Refusal: no pod takes the client.
        """
        early = asyncio.create_task(lines.read())
        try:
            target = ListenerTarget(self._name, self._routes)
            if isinstance(target.find(), PoolRoute):
                await asyncio.wait({early}, timeout=SETTLE_S)
                if is_junk(early):
                    return "Broken"
            if has_left(early):
                return "Abandoned"
            return await self._hold(target, lines, writer, ticket, early=early)
        finally:
            await discard(early)

    async def _hold(
        self,
        target: ListenerTarget,
        lines: LineReader,
        writer: asyncio.StreamWriter,
        ticket: Ticket,
        *,
        early: asyncio.Task[bytes | None],
    ) -> str:
        placing = asyncio.create_task(self._place(target, ticket))
        try:
            await asyncio.wait({early, placing}, return_when=asyncio.FIRST_COMPLETED)
            if not placing.done() and has_left(early):
                return "Abandoned"
            bound = await placing
            self._report(bound, "connection bound")
            try:
                return await self._pass(bound, ticket, lines=lines, writer=writer, early=early)
            finally:
                self._report(bound, "connection ended")
        finally:
            await discard(placing)
            if not placing.cancelled() and placing.exception() is None:
                await close(placing.result().stream.writer)

    async def _place(self, target: ListenerTarget, ticket: Ticket) -> _Bound:
        holder = random_holder()

        async def attempt(seat: Seat) -> _Bound:
            grant = seat.grant(Protocol.SIGNALLING, holder=holder, source=ticket.source)
            return _Bound(seat, await self._agent.open_stream(seat.pod, grant=grant))

        with self._held.place(ticket.source):
            return await self._placement.place(target, attempt, ticket=ticket, protocol=_SIGNALLING)

    async def _pass(
        self,
        bound: _Bound,
        ticket: Ticket,
        *,
        lines: LineReader,
        writer: asyncio.StreamWriter,
        early: asyncio.Task[bytes | None],
    ) -> str:
        """Pass messages both ways until both sides have ended; return the result."""
        pod = bound.seat.pod

        def rewrite(message: Message) -> Message | None:
            return for_client(message, pod=pod, addresses=self._advertised.addresses)

        from_pod = pump(pod_lines(LineReader(bound.stream.reader)), writer, rewrite=rewrite)
        from_client = pump(
            client_lines(early, lines),
            bound.stream.writer,
            rewrite=for_pod,
            on_passed=ticket.keep,
        )
        faults = await pump_both(asyncio.create_task(from_pod), asyncio.create_task(from_client))
        for fault in faults:
            if not isinstance(fault, EXPECTED):
                raise fault
            cause = str(fault) or type(fault).__name__
            logger.info(
                "signalling broke off", extra=about(bound.seat.session.key, pod=pod, cause=cause)
            )
        return "Broken" if faults else "Bound"

    def _report(self, bound: _Bound, text: str) -> None:
        key = bound.seat.session.key
        self._hints.send(key)
        connection = bound.stream.connection
        extra = about(key, pod=bound.seat.pod, listener=self._name, connection=connection)
        logger.info(text, extra=extra)
