"""One HTTP port of a session: reads the first request's head, finds the pod, joins the two.

After that the router reads nothing more: requests, WebSockets and keep-alive are between client and
pod. The first request's path says which slot the connection takes, and it keeps that slot, whatever
it asks for later: everything behind the port is one session's. A refusal is an HTTP answer.

With a certificate the same port takes TLS: the first byte tells. All else is as in cleartext.
"""

import asyncio
import socket
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_core.splice import Broken, has_spoken, join
from podstream_core.web_roles import role_of
from podstream_router.access import random_holder
from podstream_router.admission import Places
from podstream_router.agent import RawStream
from podstream_router.claims import Ticket
from podstream_router.errors import Refusal, RequestTimeout
from podstream_router.listening import Bound, Desk, say_goodbye
from podstream_router.splicing import SplicingListener, log_broken
from podstream_router.targets import ListenerTarget
from podstream_router.tls import HTTP_ALPN, Certificate, plain_side, speaks_tls
from podstream_router.web.answers import refusal_bytes
from podstream_router.web.head import Head, read_head

HEAD_TIMEOUT_S: Final = 15.0
"""From the connection to the first byte, and from there to the head's end."""
_READ_BYTES: Final = 16 * 1024


class WebListener(SplicingListener):
    """One listening port."""

    protocol = Protocol.HTTP

    def __init__(
        self, name: str, *, desk: Desk, open_places: Places, certificate: Certificate | None = None
    ) -> None:
        """Make a listener that is not open yet.

        Args:
            name: as in `spec.listeners`.
            desk: what it works with.
            open_places: connections that it may have open.
            certificate: for clients that speak TLS; without it there is none.
        """
        super().__init__(name, desk=desk, open_places=open_places)
        self._certificate = certificate

    async def connect(self, sock: socket.socket, ticket: Ticket) -> str:
        """Take a client to its pod and pass its bytes; return the result.

        Raises:
            Refusal: no pod takes the client, who has been told.
            NotHttp, TlsFailed: it speaks no HTTP.
            OSError, TimeoutError: it left, or is too slow.
        """
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            if not await has_spoken(sock):
                return "Abandoned"
        if self._certificate is not None and speaks_tls(sock):
            context = self._certificate.context(HTTP_ALPN)
            async with plain_side(sock, context, alpn=None) as plain:
                return await self._connect(plain, ticket)
        return await self._connect(sock, ticket)

    async def _connect(self, sock: socket.socket, ticket: Ticket) -> str:
        seen = bytearray()
        try:
            head = await _read_head(sock, seen)
            if head is None:
                return "Abandoned"
            bound = await self._place(head, ticket)
        except Refusal as refusal:
            await say_goodbye(sock, refusal_bytes(refusal, with_body=not seen.startswith(b"HEAD ")))
            raise
        with self.serving(bound, ticket):
            return await _pass(sock, bound, bytes(seen))

    async def _place(self, head: Head, ticket: Ticket) -> Bound[RawStream]:
        target = ListenerTarget(self.name, self.desk.routes)
        # A client of its own, whoever else comes from the same address or shows the same token.
        holder, role = random_holder(), role_of(head.url.path, is_upgrade=head.is_upgrade)
        return await self.place(
            target,
            ticket,
            grant=lambda seat: seat.grant(
                self.protocol, holder=holder, source=ticket.source, role=role
            ),
        )


async def _read_head(sock: socket.socket, seen: bytearray) -> Head | None:
    """The first request's head; `None` where the client leaves before.

    Args:
        sock: the client's.
        seen: collects all that has come, for the pod.

    Raises:
        Refusal: it cannot be read, or comes too slowly.
        NotHttp: the client speaks something else.
        OSError: the connection was reset.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            while (head := read_head(bytes(seen))) is None:
                data = await loop.sock_recv(sock, _READ_BYTES)
                if not data:
                    return None
                seen += data
    except TimeoutError as error:
        message = f"the request's head did not arrive within {HEAD_TIMEOUT_S:g} s"
        raise RequestTimeout(message) from error
    return head


async def _pass(sock: socket.socket, bound: Bound[RawStream], seen: bytes) -> str:
    """Replay what has come, then join; return the result."""
    pod, loop = bound.stream.sock, asyncio.get_running_loop()
    try:
        await loop.sock_sendall(pod, seen)
        if bound.stream.early:
            await loop.sock_sendall(sock, bound.stream.early)
        await join(sock, pod)
    except Broken as error:
        return log_broken(bound, error)
    return "Bound"
