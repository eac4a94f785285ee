"""One gRPC port: reads the first request's headers, finds the pod, joins the two connections.

After that the router reads nothing more: calls, streams, deadlines and flow control are between
client and pod. A refusal is the answer to the first call, with the gRPC status that says the same.

With a certificate the same port takes TLS: the first byte tells. All else is as in cleartext.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_core.splice import Broken, has_spoken, join
from podstream_core.tokens import PublicKeys
from podstream_router.access import random_holder
from podstream_router.admission import Places
from podstream_router.agent import RawStream
from podstream_router.claims import Ticket
from podstream_router.errors import Refusal
from podstream_router.grpc.answers import SETTINGS, UNAVAILABLE, refusal_bytes, status_of
from podstream_router.grpc.naming import target_of
from podstream_router.grpc.opening import BadOpening, Opening, Request
from podstream_router.listening import Bound, Desk, say_goodbye
from podstream_router.routes import PoolRoute, SessionRoute
from podstream_router.splicing import SplicingListener, log_broken
from podstream_router.targets import ListenerTarget, SessionTarget
from podstream_router.tls import Certificate, plain_side, speaks_tls

OPENING_TIMEOUT_S: Final = 10.0
"""From the connection to the first request's headers; clients connect when they have a call."""
_READ_BYTES: Final = 64 * 1024


class GrpcListener(SplicingListener):
    """One listening port."""

    protocol = Protocol.GRPC

    def __init__(
        self,
        name: str,
        *,
        desk: Desk,
        open_places: Places,
        namespaces: Sequence[str],
        client_keys: PublicKeys,
        certificate: Certificate | None = None,
    ) -> None:
        """Make a listener that is not open yet.

        Args:
            name: as in `spec.listeners`.
            desk: what it works with.
            open_places: connections that it may have open.
            namespaces: where sessions are looked for that metadata names without one.
            client_keys: of tokens in metadata.
            certificate: for clients that speak TLS; without it there is none.
        """
        super().__init__(name, desk=desk, open_places=open_places)
        self._namespaces = namespaces
        self._client_keys = client_keys
        self._certificate = certificate

    async def connect(self, sock: socket.socket, ticket: Ticket) -> str:
        """Take a client to its pod and pass its bytes; return the result.

        Raises:
            Refusal: no pod takes the client, who has been told.
            BadOpening, TlsFailed: it speaks no gRPC.
            OSError, TimeoutError: it left, or is too slow.
        """
        if self._certificate is None:
            return await self._connect(sock, ticket)
        async with asyncio.timeout(OPENING_TIMEOUT_S):
            if not await has_spoken(sock):
                return "Abandoned"
        if speaks_tls(sock):
            async with plain_side(sock, self._certificate.context()) as plain:
                return await self._connect(plain, ticket)
        if self._certificate.required:
            raise BadOpening("cleartext on a port that takes TLS only (router.tls.required)")
        return await self._connect(sock, ticket)

    async def _connect(self, sock: socket.socket, ticket: Ticket) -> str:
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
        with self.serving(bound, ticket):
            return await self._pass(sock, bound, opening)

    async def _place(self, request: Request, ticket: Ticket) -> Bound[RawStream]:
        target = target_of(
            request,
            listener=self.name,
            routes=self.desk.routes,
            namespaces=self._namespaces,
            keys=self._client_keys,
        )
        anonymous = random_holder()
        return await self.place(
            target,
            ticket,
            grant=lambda seat: seat.grant(
                self.protocol,
                holder=_holder(target, seat.session, anonymous),
                source=ticket.source,
            ),
        )

    async def _pass(self, sock: socket.socket, bound: Bound[RawStream], opening: Opening) -> str:
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
            return log_broken(bound, error)
        return "Bound"


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
    """Answer the first call."""
    status = status_of(refusal) or UNAVAILABLE
    message = f"{refusal.error}: {refusal.message}"
    await say_goodbye(sock, refusal_bytes(request.stream_id, status=status, message=message))
