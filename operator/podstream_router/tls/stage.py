"""Takes TLS off a client's connection: what listens behind it sees a plain socket.

A pair of unix sockets stands between: a pump moves records between the client and one end, and
the listener works with the other end as it does with a client that speaks cleartext, the joint in
the kernel included. So there is one way of binding a connection, and its tests hold for both.

Nothing is kept beyond one read each way and the sockets' own buffers: who does not read holds the
other side back. The end of a direction is passed on as such: TLS's close_notify becomes a
half-close and the other way round (RFC 8446, 6.1). A connection that ends without close_notify,
as gRPC clients do it, ends the same way: HTTP/2 knows itself where its messages end.

docs/adr/0012 says why this runs in user space.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from podstream_router.tls.certificate import ALPN

HANDSHAKE_TIMEOUT_S: Final = 10.0
MAX_HANDSHAKE_BYTES: Final = 64 * 1024
"""That a client may send before the handshake is done; a ClientHello has about 500."""
CLOSING_S: Final = 1.0
"""For a client to take the last bytes when its connection ends."""
_READ_BYTES: Final = 256 * 1024
_PIPE_BYTES: Final = 1 << 20
"""Buffer asked for between the pump and the listener; the kernel may grant less."""


_HANDSHAKE_RECORD: Final = b"\x16"


class TlsFailed(ConnectionError):
    """No TLS connection came about; the message says why."""


def speaks_tls(sock: socket.socket) -> bool:
    """Whether the first byte, which has come and stays, begins a TLS handshake."""
    return sock.recv(1, socket.MSG_PEEK) == _HANDSHAKE_RECORD


@asynccontextmanager
async def plain_side(
    sock: socket.socket, context: ssl.SSLContext, *, alpn: str | None = ALPN
) -> AsyncIterator[socket.socket]:
    """Shake hands, and give a non-blocking socket that carries what is inside.

    Args:
        sock: the client's.
        context: the server's side.
        alpn: the protocol that the client has to name; `None`: it may name none.

    The client's socket stays the caller's to close. When the block ends in order, what was written
    last still reaches the client.

    Raises:
        TlsFailed: the client does not offer the protocol over TLS 1.2 or later.
        OSError, TimeoutError: it left, or is too slow.
    """
    records = _Records(sock, context)
    async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
        await records.shake_hands(alpn)
    inner, outer = socket.socketpair()
    tasks: list[asyncio.Task[None]] = []
    try:
        for end in (inner, outer):
            end.setblocking(False)
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, _PIPE_BYTES)
        leaving = asyncio.create_task(records.seal(outer), name="tls:seal")
        tasks += [leaving, asyncio.create_task(records.unseal(outer), name="tls:unseal")]
        for task in tasks:
            task.add_done_callback(lambda done: _end_if_broken(done, outer))
        yield inner
        inner.close()
        await asyncio.wait([leaving], timeout=CLOSING_S)
    finally:
        inner.close()
        for task in tasks:
            task.cancel()
        # No socket is closed while a task still waits for it.
        await asyncio.gather(*tasks, return_exceptions=True)
        outer.close()


def _end_if_broken(task: asyncio.Task[None], outer: socket.socket) -> None:
    """A direction that broke ends both, as a reset does."""
    if not task.cancelled() and task.exception() is not None:
        with suppress(OSError):
            outer.shutdown(socket.SHUT_RDWR)


class _Records:
    """TLS records of one connection, by OpenSSL on buffers of its own."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._loop = asyncio.get_running_loop()
        self._sending = asyncio.Lock()
        """Records leave in the order in which they were made, whichever task made them."""
        self._ahead = b""
        """Read before its turn; at most one read's worth of records."""

    async def shake_hands(self, alpn: str | None) -> None:
        """Shake hands.

        Raises:
            TlsFailed: no common version, cipher or protocol, or no TLS at all.
            OSError: the client left.
        """
        received = 0
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError as error:
                with suppress(OSError):
                    await self._flush()  # the alert that names the cause
                raise TlsFailed(f"no TLS: {error.reason or error}") from error
            data = await self._loop.sock_recv(self._sock, _READ_BYTES)
            received += len(data)
            if not data:
                raise TlsFailed("the client left during the handshake")
            if received > MAX_HANDSHAKE_BYTES:
                raise TlsFailed(f"no handshake within {MAX_HANDSHAKE_BYTES} bytes")
            self._incoming.write(data)
        await self._flush()
        if alpn is not None and self._tls.selected_alpn_protocol() != alpn:
            raise TlsFailed(f"the client does not offer {alpn} by ALPN")

    async def unseal(self, plain: socket.socket) -> None:
        """Pass what the client says, until it says no more.

        Raises:
            OSError: a side was reset, or the records make no sense.
        """
        while await self._pass_records(plain):
            if not (data := await self._loop.sock_recv(self._sock, _READ_BYTES)):
                break
            self._incoming.write(data)
        with suppress(OSError):  # the other side may have gone altogether
            plain.shutdown(socket.SHUT_WR)

    async def seal(self, plain: socket.socket) -> None:
        """Pass what is said to the client, until no more comes, and say that.

        Raises:
            OSError: a side was reset.
        """
        while data := await self._loop.sock_recv(plain, _READ_BYTES):
            self._tls.write(data)
            await self._flush()
        # Writes close_notify, and looks for the client's at once: finding data instead would break
        # the other direction, so that is read first.
        with suppress(ssl.SSLError):
            while data := self._tls.read(_READ_BYTES):
                self._ahead += data
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    async def _pass_records(self, plain: socket.socket) -> bool:
        """Pass all whole records that have come; false where the client has ended."""
        while True:
            if self._ahead:
                data, self._ahead = self._ahead, b""
                await self._loop.sock_sendall(plain, data)
                continue
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()  # answers to the protocol's own messages, as new keys
                if self._ahead:
                    continue
                return True
            except ssl.SSLZeroReturnError:
                return False
            if not data:
                return False
            await self._loop.sock_sendall(plain, data)

    async def _flush(self) -> None:
        # Without anything to say, a client that reads slowly must not hold back what it says.
        if not self._outgoing.pending:
            return
        async with self._sending:
            if data := self._outgoing.read():
                await self._loop.sock_sendall(self._sock, data)
