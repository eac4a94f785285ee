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
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_router.access import random_holder
from podstream_router.admission import Places
from podstream_router.advertise import Advertised
from podstream_router.agent import STREAM_BUFFER_BYTES, PodStream
from podstream_router.claims import Ticket
from podstream_router.lines import LineReader
from podstream_router.listening import Bound, Desk, SocketListener
from podstream_router.logfields import about
from podstream_router.placement import Seat
from podstream_router.routes import PoolRoute
from podstream_router.signalling.messages import Message, for_client, for_pod
from podstream_router.signalling.pumps import (
    EXPECTED,
    client_lines,
    close,
    discard,
    has_left,
    is_junk,
    pod_lines,
    pump,
    pump_both,
)
from podstream_router.targets import ListenerTarget

logger = logging.getLogger(__name__)

SETTLE_S: Final = 0.02
"""A connection that is closed again within this time, or speaks another protocol, is a scan: no
pod is taken for it."""


class SignallingListener(SocketListener):
    """One listening port."""

    protocol = Protocol.SIGNALLING

    def __init__(
        self, name: str, *, desk: Desk, open_places: Places, advertised: Advertised
    ) -> None:
        """Make a listener that is not open yet.

        Args:
            name: as in `spec.listeners`.
            desk: what it works with.
            open_places: connections that it may have open.
            advertised: where clients reach the media port.
        """
        super().__init__(name, desk=desk, open_places=open_places)
        self._advertised = advertised

    async def connect(self, sock: socket.socket, ticket: Ticket) -> str:
        """Hold the client until a pod takes it, then pass messages; return the result.

        Raises:
            Refusal: no pod takes the client.
            OSError: it left.
        """
        reader, writer = await asyncio.open_connection(sock=sock, limit=STREAM_BUFFER_BYTES)
        try:
            return await self._converse(LineReader(reader), writer, ticket)
        finally:
            await close(writer)

    async def _converse(
        self, lines: LineReader, writer: asyncio.StreamWriter, ticket: Ticket
    ) -> str:
        early = asyncio.create_task(lines.read())
        try:
            target = ListenerTarget(self.name, self.desk.routes)
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
            self.report(bound, "connection bound")
            try:
                return await self._pass(bound, ticket, lines=lines, writer=writer, early=early)
            finally:
                self.report(bound, "connection ended")
        finally:
            await discard(placing)
            if not placing.cancelled() and placing.exception() is None:
                await close(placing.result().stream.writer)

    async def _place(self, target: ListenerTarget, ticket: Ticket) -> Bound[PodStream]:
        holder = random_holder()

        async def attempt(seat: Seat) -> Bound[PodStream]:
            grant = seat.grant(Protocol.SIGNALLING, holder=holder, source=ticket.source)
            return Bound(seat, await self.desk.agent.open_stream(seat.pod, grant=grant))

        with self.desk.held.place(ticket.source):
            return await self.desk.placement.place(
                target, attempt, ticket=ticket, protocol=Protocol.SIGNALLING.value
            )

    async def _pass(
        self,
        bound: Bound[PodStream],
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
