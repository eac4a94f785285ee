"""One TCP port whose connections are more than HTTP requests: accepting, counting, ending.

What a connection says, and where it is taken, is up to the listener of its protocol.
"""

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from podstream_core.agentapi import Protocol as ClientProtocol
from podstream_core.logs import log_fields
from podstream_router.admission import Places
from podstream_router.agent import AgentClient
from podstream_router.claims import Claims, Ticket
from podstream_router.errors import Refusal
from podstream_router.hints import Hints
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.placement import Placement, Seat
from podstream_router.routes import RouteTable

logger = logging.getLogger(__name__)

CLOSING_S: Final = 1.0
"""For a client to read a refusal."""
_ACCEPT_RETRY_S: Final = 0.1
_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a listener needs to take a connection to its pod."""

    routes: RouteTable
    placement: Placement
    claims: Claims
    agent: AgentClient
    held: Places
    """Connections that wait for a pod, over all listeners."""
    hints: Hints
    metrics: RouterMetrics


class Stream(Protocol):
    """A connection to a pod."""

    @property
    def connection(self) -> str:
        """Its id at the agent."""


S = TypeVar("S", bound=Stream)


@dataclass(frozen=True, slots=True)
class Bound(Generic[S]):
    """A client's place in a pod."""

    seat: Seat
    stream: S


class SocketListener(ABC):
    """One listening port."""

    protocol: ClassVar[ClientProtocol]

    def __init__(self, name: str, *, desk: Desk, open_places: Places) -> None:
        """Make a listener that is not open yet.

        Args:
            name: as in `spec.listeners`.
            desk: what it works with.
            open_places: connections that it may have open.
        """
        self.name = name
        self.desk = desk
        self._open_places = open_places
        self._server: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open_connections(self) -> int:
        """Connections that have not ended."""
        return len(self._tasks)

    @abstractmethod
    async def connect(self, sock: socket.socket, ticket: Ticket) -> str:
        """Take a client to its pod, pass what is said, and return the result.

        The socket is non-blocking; whoever called closes it.

        Raises:
            Refusal: no pod takes the client; it has been told as far as its protocol has words.
            OSError, TimeoutError: the client left, or is too slow.
        """

    async def listen(self, host: str, port: int) -> int:
        """Open the socket; return its port.

        Raises:
            OSError: the port cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server((host, port), family=family, backlog=256)
        self._server.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(), name=f"accept:{self.name}")
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

    def report(self, bound: Bound[S], text: str) -> None:
        """Log what became of a connection, and have the operator look at its session."""
        key = bound.seat.session.key
        self.desk.hints.send(key)
        connection = bound.stream.connection
        logger.info(text, extra=about(key, pod=bound.seat.pod, connection=connection))

    async def _accept(self) -> None:
        assert self._server is not None
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._server)
            except OSError as error:
                # Out of descriptors, or a client that was gone again: the next one may do.
                logger.warning("connection not accepted", extra={"cause": str(error)})
                await asyncio.sleep(_ACCEPT_RETRY_S)
                continue
            task = asyncio.create_task(
                self._serve(sock, source=str(address[0])), name=f"{self.protocol}:{self.name}"
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket, *, source: str) -> None:
        protocol = self.protocol.value
        gauge = self.desk.metrics.open_connections.labels(protocol)
        gauge.inc()
        result = "Abandoned"
        try:
            with log_fields(listener=self.name):
                result = await self._take(sock, source=source)
        finally:
            gauge.dec()
            self.desk.metrics.connections.labels(protocol, result).inc()
            sock.close()

    async def _take(self, sock: socket.socket, *, source: str) -> str:
        """Serve a client to its end; the result, which is logged where it is a failure."""
        try:
            sock.setblocking(False)
            _keep_alive(sock)
            with self._open_places.place(source), self.desk.claims.ticket(source=source) as ticket:
                return await self.connect(sock, ticket)
        except Refusal as refusal:
            error, cause = refusal.error, refusal.message
        except (OSError, TimeoutError) as fault:
            error, cause = "Broken", str(fault) or "the client did not say anything in time"
        except Exception:
            logger.exception("connection failed")
            return "Internal"
        logger.info("connection refused", extra={"error": error, "cause": cause})
        return error


async def say_goodbye(sock: socket.socket, data: bytes) -> None:
    """Send last words, and give the client a moment to read them."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSING_S):
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
