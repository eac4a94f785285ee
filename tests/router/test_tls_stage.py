"""Taking TLS off a connection: both directions, their ends, slow and broken clients.

The client is Python's blocking `ssl`, on a thread: another implementation of the sockets' side.
"""

import asyncio
import os
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from podstream_router.tls import Certificate, TlsFailed, plain_side, speaks_tls
from podstream_router.tls import stage as tls_stage
from router.certificates import self_signed

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    crt, key = self_signed()
    (tmp_path / "tls.crt").write_bytes(crt)
    (tmp_path / "tls.key").write_bytes(key)
    return Certificate(tmp_path)


def client_context(version: ssl.TLSVersion | None = None, alpn: str = "h2") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    # An end without close_notify is an error.
    return context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)


@asynccontextmanager
async def tls_pair(
    certificate: Certificate, context: ssl.SSLContext
) -> AsyncIterator[tuple[ssl.SSLSocket, socket.socket, socket.socket]]:
    """A client, the plain side of its connection, and the connection itself."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        connecting = asyncio.create_task(asyncio.to_thread(connect, port, context))
        sock, _ = await loop.sock_accept(server)
        sock.setblocking(False)
        try:
            with sock:
                async with plain_side(sock, certificate.context()) as plain:
                    with await asyncio.shield(connecting) as client:
                        yield client, plain, sock
        finally:
            with suppress(OSError):  # also of a client that was refused
                (await connecting).close()


async def read_all(sock: socket.socket) -> bytes:
    loop, parts = asyncio.get_running_loop(), []
    while data := await loop.sock_recv(sock, 1 << 16):
        parts.append(data)
    return b"".join(parts)


def receive(client: ssl.SSLSocket, count: int | None = None) -> bytes:
    """So many bytes, or all until the other side's orderly end."""
    data = bytearray()
    while count is None or len(data) < count:
        part = client.recv(1 << 16)
        if not part:
            break
        data += part
    return bytes(data)


@pytest.mark.parametrize("version", VERSIONS)
async def test_bytes_go_both_ways_and_ends_are_passed_on(
    certificate: Certificate, version: ssl.TLSVersion
) -> None:
    """The client ends first; what the pod says afterwards still arrives, and its end too."""
    up, down = os.urandom(3 << 20), os.urandom(2 << 20)
    loop = asyncio.get_running_loop()
    async with tls_pair(certificate, client_context(version)) as (client, plain, _):
        assert client.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        assert client.selected_alpn_protocol() == "h2"
        sending = asyncio.create_task(asyncio.to_thread(client.sendall, up))
        assert await _exactly(plain, len(up)) == up
        await sending
        socket.socket.shutdown(client, socket.SHUT_WR)  # without close_notify, as gRPC ends
        assert await read_all(plain) == b""
        receiving = asyncio.create_task(asyncio.to_thread(receive, client))
        await loop.sock_sendall(plain, down)
        plain.shutdown(socket.SHUT_WR)
        assert await receiving == down


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_pod_may_end_first(certificate: Certificate, version: ssl.TLSVersion) -> None:
    """Its end reaches the client as close_notify while the client is still sending."""
    up = os.urandom(4 << 20)
    async with tls_pair(certificate, client_context(version)) as (client, plain, _):
        sending = asyncio.create_task(asyncio.to_thread(client.sendall, up))
        first = await _exactly(plain, 1 << 20)
        plain.shutdown(socket.SHUT_WR)
        assert await asyncio.to_thread(client.recv, 1) == b""
        rest = await _exactly(plain, len(up) - len(first))
        await sending
        assert first + rest == up


async def test_a_client_that_does_not_read_holds_back_its_pod_and_nothing_else(
    certificate: Certificate,
) -> None:
    async with tls_pair(certificate, client_context()) as (client, plain, _):
        pushed = refused = 0
        while refused < 20 and pushed < 64 << 20:  # until nothing more is taken for a while
            taken = _send_some(plain)
            pushed += taken
            refused = 0 if taken else refused + 1
            await asyncio.sleep(0 if taken else 0.02)
        assert 0 < pushed < 32 << 20, "sockets' buffers and one read, not all of it"
        await asyncio.to_thread(client.sendall, b"still heard")
        assert await _exactly(plain, 11) == b"still heard"
        assert len(await asyncio.to_thread(receive, client, pushed)) == pushed


async def test_a_reset_ends_the_plain_side(certificate: Certificate) -> None:
    async with tls_pair(certificate, client_context()) as (client, plain, _):
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.close()
        async with asyncio.timeout(5):
            assert await read_all(plain) == b""
            with pytest.raises(BrokenPipeError):
                await asyncio.get_running_loop().sock_sendall(plain, b"x")


async def test_what_was_said_last_arrives(certificate: Certificate) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]

        def talk() -> bytes:
            with connect(port, client_context()) as client:
                return receive(client)

        talking = asyncio.create_task(asyncio.to_thread(talk))
        sock, _ = await loop.sock_accept(server)
        with sock:
            sock.setblocking(False)
            async with plain_side(sock, certificate.context()) as plain:
                await loop.sock_sendall(plain, b"goodbye" * 1000)
        assert await talking == b"goodbye" * 1000


async def test_only_http2_over_tls_1_2_and_later_is_taken(certificate: Certificate) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = client_context(ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    for context, text in ((client_context(alpn="http/1.1"), "ALPN"), (old, "no TLS")):
        with pytest.raises(TlsFailed, match=text):
            async with tls_pair(certificate, context):
                raise AssertionError


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x05hello", b"\x16" * 100_000])
async def test_junk_is_no_handshake(certificate: Certificate, data: bytes) -> None:
    left, right = socket.socketpair()
    with left, right:
        for end in (left, right):
            end.setblocking(False)
        with suppress(BlockingIOError):
            left.send(data)
        assert speaks_tls(right)
        left.shutdown(socket.SHUT_WR)
        with pytest.raises(TlsFailed):
            async with plain_side(right, certificate.context()):
                raise AssertionError


async def test_a_client_that_says_half_a_hello_is_not_waited_for(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_stage, "HANDSHAKE_TIMEOUT_S", 0.1)
    left, right = socket.socketpair()
    with left, right:
        right.setblocking(False)
        left.send(b"\x16\x03\x01\x02\x00\x01")
        with pytest.raises(TimeoutError):
            async with plain_side(right, certificate.context()):
                raise AssertionError


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(20):
        while len(data) < count:
            part = await loop.sock_recv(sock, min(1 << 16, count - len(data)))
            assert part, f"ended after {len(data)} of {count} bytes"
            data += part
    return bytes(data)


def _send_some(sock: socket.socket) -> int:
    """Bytes that a non-blocking socket takes now."""
    try:
        return sock.send(bytes(1 << 16))
    except BlockingIOError:
        return 0
