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
from podstream_router.listening import Bound
from podstream_router.splicing import SplicingListener
from podstream_router.targets import ListenerTarget

FIRST_BYTE_TIMEOUT_S: Final = 60.0
"""A client may open its camera after it has connected."""


class TcpListener(SplicingListener):
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
        with self.serving(bound, ticket):
            try:
                if bound.stream.early:
                    await asyncio.get_running_loop().sock_sendall(sock, bound.stream.early)
                await join(sock, bound.stream.sock)
            except Broken as error:
                raise ConnectionError(str(error)) from error
        return "Bound"

    async def _place(self, ticket: Ticket) -> Bound[RawStream]:
        holder = random_holder()
        return await self.place(
            ListenerTarget(self.name, self.desk.routes),
            ticket,
            grant=lambda seat: seat.grant(self.protocol, holder=holder, source=ticket.source),
        )
