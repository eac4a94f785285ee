"""One gRPC port: reads the first request's headers, finds the pod, joins the two connections.

After that the router reads nothing more: calls, streams, deadlines and flow control are between
client and pod. A refusal is the answer to the first call, with the gRPC status that says the same.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_core.logs import log_fields
from podstream_core.splice import Broken, join
from podstream_core.tokens import PublicKeys
from podstream_router.access import random_holder
from podstream_router.admission import Places
from podstream_router.agent import AgentClient, RawStream
from podstream_router.claims import Claims, Ticket
from podstream_router.errors import Refusal
from podstream_router.grpc.answers import SETTINGS, UNAVAILABLE, refusal_bytes, status_of
from podstream_router.grpc.naming import target_of
from podstream_router.grpc.opening import BadOpening, Opening, Request
from podstream_router.hints import Hints
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.placement import Placement, Seat
from podstream_router.protocols import require_workload
from podstream_router.routes import PoolRoute, RouteTable, SessionRoute
from podstream_router.targets import ListenerTarget, SessionTarget

logger = logging.getLogger(__name__)

OPENING_TIMEOUT_S: Final = 10.0
"""From the connection to the first request's headers; clients connect when they have a call."""
CLOSING_S: Final = 1.0
_READ_BYTES: Final = 64 * 1024
_GRPC: Final = Protocol.GRPC.value


@dataclass(frozen=True, slots=True)
class _Bound:
    """A client's place in a pod."""

    seat: Seat
    stream: RawStream


class GrpcListener:
    """One listening port."""

    def __init__(
        self,
        name: str,
        *,
        routes: RouteTable,
        placement: Placement,
        claims: Claims,
        agent: AgentClient,
        namespaces: Sequence[str],
        client_keys: PublicKeys,
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
        self._namespaces = namespaces
        self._client_keys = client_keys
        self._held = held
        self._open_places = open_places
        self._hints = hints
        self._metrics = metrics
        self._server: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Open the socket; return its port.

        Raises:
            OSError: the port cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server((host, port), family=family, backlog=256)
        self._server.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(), name=f"grpc:{self._name}")
        bound: int = self._server.getsockname()[1]
        return bound

    def stop_accepting(self) -> None:
        """Close the socket; open connections go on."""
        if self._accepting is not None:
            self._accepting.cancel()
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

    async def _accept(self) -> None:
        assert self._server is not None
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._server)
            except OSError as error:
                # Out of descriptors, or a client that was gone again: the next one may do.
                logger.warning("connection not accepted", extra={"cause": str(error)})
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._serve(sock, source=str(address[0])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket, *, source: str) -> None:
        gauge = self._metrics.open_connections.labels(_GRPC)
        gauge.inc()
        result = "Abandoned"
        try:
            with log_fields(listener=self._name):
                result = await self._take(sock, source=source)
        finally:
            gauge.dec()
            self._metrics.connections.labels(_GRPC, result).inc()
            sock.close()

    async def _take(self, sock: socket.socket, *, source: str) -> str:
        """Serve a client to its end; the result, which is logged where it is a failure."""
        try:
            sock.setblocking(False)
            _keep_alive(sock)
            with self._open_places.place(source), self._claims.ticket(source=source) as ticket:
                return await self._connect(sock, ticket)
        except Refusal as refusal:
            error, cause = refusal.error, refusal.message
        except (OSError, BadOpening, TimeoutError) as fault:
            error, cause = "Broken", str(fault) or "the client did not send its first call in time"
        except Exception:
            logger.exception("gRPC connection failed")
            return "Internal"
        logger.info("connection refused", extra={"error": error, "cause": cause})
        return error

    async def _connect(self, sock: socket.socket, ticket: Ticket) -> str:
        """Take a client to its pod and pass its bytes; return the result.

        Raises:
            Refusal: no pod takes the client, who has been told.
            BadOpening: it speaks no gRPC.
            OSError, TimeoutError: it left, or is too slow.
        """
        loop = asyncio.get_running_loop()
        opening = Opening()
        async with asyncio.timeout(OPENING_TIMEOUT_S):
            await loop.sock_sendall(sock, SETTINGS)
            request = await _read_request(sock, opening)
        if request is None:
            return "Abandoned"
        try:
            bound = await self._place(request, ticket)
        except Refusal as refusal:
            await _refuse(sock, request, refusal)
            raise
        with bound.stream.sock:
            ticket.keep()
            self._report(bound, "connection bound")
            try:
                return await self._pass(sock, bound, opening)
            finally:
                self._report(bound, "connection ended")

    async def _place(self, request: Request, ticket: Ticket) -> _Bound:
        target = target_of(
            request,
            listener=self._name,
            routes=self._routes,
            namespaces=self._namespaces,
            keys=self._client_keys,
        )
        holder = random_holder()
        found = target.find()
        if found is not None:  # before a pod is taken for a call that it cannot serve
            require_workload(found.workloads, protocol=Protocol.GRPC, target=str(found.key))

        async def attempt(seat: Seat) -> _Bound:
            grant = seat.grant(
                Protocol.GRPC, holder=_holder(target, seat.session, holder), source=ticket.source
            )
            return _Bound(seat, await self._agent.open_raw_stream(seat.pod, grant=grant))

        with self._held.place(ticket.source):
            return await self._placement.place(target, attempt, ticket=ticket, protocol=_GRPC)

    async def _pass(self, sock: socket.socket, bound: _Bound, opening: Opening) -> str:
        """Replay what was kept, swallow one acknowledgement, then join; return the result."""
        pod = bound.stream.sock
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPENING_TIMEOUT_S):
                await loop.sock_sendall(pod, opening.replay())
                # The pod's first words wait until the client has acknowledged the router's: it
                # owes that to nobody but the router.
                while not opening.has_acknowledged:
                    data = await loop.sock_recv(sock, _READ_BYTES)
                    if not data:
                        return "Abandoned"
                    opening.feed(data)
                    await loop.sock_sendall(pod, opening.replay())
                await loop.sock_sendall(pod, opening.rest())
                await loop.sock_sendall(sock, bound.stream.early)
            await join(sock, pod)
        except Broken as error:
            key, route = bound.seat.session.key, bound.seat.pod
            logger.info("connection broke off", extra=about(key, pod=route, cause=str(error)))
            return "Broken"
        return "Bound"

    def _report(self, bound: _Bound, text: str) -> None:
        key = bound.seat.session.key
        self._hints.send(key)
        connection = bound.stream.connection
        extra = about(key, pod=bound.seat.pod, listener=self._name, connection=connection)
        logger.info(text, extra=extra)


def _holder(
    target: SessionTarget | ListenerTarget, session: SessionRoute | PoolRoute, anonymous: str
) -> str:
    if isinstance(target, SessionTarget) and isinstance(session, SessionRoute):
        return target.holder(session)
    return anonymous


async def _read_request(sock: socket.socket, opening: Opening) -> Request | None:
    """The first request; `None` where the client leaves before.

    Raises:
        BadOpening: the client speaks no gRPC.
        OSError: the connection was reset.
    """
    loop = asyncio.get_running_loop()
    while opening.request is None:
        data = await loop.sock_recv(sock, _READ_BYTES)
        if not data:
            return None
        opening.feed(data)
    return opening.request


async def _refuse(sock: socket.socket, request: Request, refusal: Refusal) -> None:
    """Answer the first call, and give the client a moment to read that."""
    loop = asyncio.get_running_loop()
    status = status_of(refusal) or UNAVAILABLE
    message = f"{refusal.error}: {refusal.message}"
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSING_S):
            data = refusal_bytes(request.stream_id, status=status, message=message)
            await loop.sock_sendall(sock, data)
            sock.shutdown(socket.SHUT_WR)
            # Closing with unread bytes would reset the connection before the answer is read.
            while await loop.sock_recv(sock, _READ_BYTES):
                pass


def _keep_alive(sock: socket.socket) -> None:
    """Find dead peers, and pass small messages on at once."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
