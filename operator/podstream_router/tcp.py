"""One raw TCP port: the router knows nothing of what passes, so the port leads to one target.

Clients show no token, so only Public sessions and pools are served. A connection that says
nothing is no client yet: a port scan takes no pod. There are no words for a refusal either; the
connection is closed, and log, metric and the session's status say why.
"""

import asyncio
import socket
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_core.splice import Broken, has_spoken, join
from podstream_router.access import random_holder
from podstream_router.agent import RawStream
from podstream_router.claims import Ticket
from podstream_router.listening import Bound, SocketListener
from podstream_router.placement import Seat
from podstream_router.protocols import require_workload
from podstream_router.targets import ListenerTarget

FIRST_BYTE_TIMEOUT_S: Final = 60.0
"""A client may open its camera after it has connected."""


class TcpListener(SocketListener):
    """One listening port."""

    protocol = Protocol.TCP

    async def connect(self, sock: socket.socket, ticket: Ticket) -> str:
        """Take a client that has begun to send to its pod, and join both connections.

        Raises:
            Refusal: no pod takes the client.
            OSError, TimeoutError: it left, or sends nothing.
        """
        async with asyncio.timeout(FIRST_BYTE_TIMEOUT_S):
            if not await has_spoken(sock):
                return "Abandoned"
        bound = await self._place(ticket)
        with bound.stream.sock:
            ticket.keep()
            self.report(bound, "connection bound")
            try:
                if bound.stream.early:
                    await asyncio.get_running_loop().sock_sendall(sock, bound.stream.early)
                await join(sock, bound.stream.sock)
            except Broken as error:
                raise ConnectionError(str(error)) from error
            finally:
                self.report(bound, "connection ended")
        return "Bound"

    async def _place(self, ticket: Ticket) -> Bound[RawStream]:
        target = ListenerTarget(self.name, self.desk.routes)
        found = target.find()
        if found is not None:  # before a pod is taken for a connection that it cannot serve
            require_workload(found.workloads, protocol=self.protocol, target=str(found.key))
        holder = random_holder()

        async def attempt(seat: Seat) -> Bound[RawStream]:
            grant = seat.grant(self.protocol, holder=holder, source=ticket.source)
            return Bound(seat, await self.desk.agent.open_raw_stream(seat.pod, grant=grant))

        with self.desk.held.place(ticket.source):
            return await self.desk.placement.place(
                target, attempt, ticket=ticket, protocol=self.protocol.value
            )
