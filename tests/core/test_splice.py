"""Two connections joined in the kernel, over real TCP on the loopback."""

import asyncio
import hashlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from podstream_core.splice import Broken, join

MIB = 1 << 20


def connected() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


@asynccontextmanager
async def joined() -> AsyncIterator[
    tuple[socket.socket, socket.socket, asyncio.Task[tuple[int, int]]]
]:
    """A client and a server with the joint between them."""
    client, left = connected()
    server, right = connected()
    task = asyncio.create_task(join(left, right))
    try:
        yield client, server, task
    finally:
        task.cancel()
        await asyncio.wait({task})
        for sock in (client, left, server, right):
            sock.close()


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)
    sock.shutdown(socket.SHUT_WR)


async def receive_all(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    parts = []
    while part := await loop.sock_recv(sock, MIB):
        parts.append(part)
    return b"".join(parts)


async def test_bytes_pass_both_ways_unchanged() -> None:
    up, down = os.urandom(24 * MIB), os.urandom(9 * MIB + 17)
    async with joined() as (client, server, task):
        _, _, got_up, got_down = await asyncio.gather(
            send(client, up), send(server, down), receive_all(server), receive_all(client)
        )
        assert hashlib.sha256(got_up).digest() == hashlib.sha256(up).digest()
        assert got_down == down
        assert await task == (len(up), len(down))


async def test_half_close_passes_and_the_other_way_goes_on() -> None:
    async with joined() as (client, server, task):
        await send(client, b"question")
        assert await receive_all(server) == b"question"
        await send(server, b"a late answer")
        assert await receive_all(client) == b"a late answer"
        assert await task == (8, 13)


async def test_nothing_is_needed_to_end() -> None:
    async with joined() as (client, server, task):
        client.close()
        assert await receive_all(server) == b""
        server.close()
        assert await task == (0, 0)


async def test_a_slow_receiver_holds_its_sender_back() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as (client, server, task):
        for sock in (client, server):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        sent = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while sent < 64 * MIB:
                    await loop.sock_sendall(client, bytes(64 * 1024))
                    sent += 64 * 1024
        assert sent < 32 * MIB, "the kernel's buffers and one pipe, no more"
        assert not task.done()
        got = 0
        while got < sent:
            got += len(await loop.sock_recv(server, MIB))


async def test_a_reset_ends_both_sides() -> None:
    async with joined() as (client, _server, task):
        await asyncio.get_running_loop().sock_sendall(client, b"x")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with pytest.raises(Broken, match="reset"):
            async with asyncio.timeout(5):
                await task


async def test_cancelling_gives_every_descriptor_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        async with joined() as (client, _, _task):
            await asyncio.get_running_loop().sock_sendall(client, b"x")
            await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_an_idle_pair_costs_nothing() -> None:
    async with joined() as (client, server, task):
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"ping")
        assert await loop.sock_recv(server, 16) == b"ping"
        used = os.times().user + os.times().system
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.shield(task)
        assert os.times().user + os.times().system - used < 0.2, "it spins"
