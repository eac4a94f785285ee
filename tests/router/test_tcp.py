"""Raw bytes through the router: a listener that leads to a session or to a pool."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fakes.fake_agent import FakeAgent
from podstream_core.agentapi import Protocol
from podstream_router import tcp
from podstream_router.settings import Listener
from router.harness import Harness, metric, running_router, until
from router.pools import Pool

PUBLIC: dict[str, Any] = {"listeners": ("frames",), "workloads": ("stream",)}


class Sink:
    """A workload that keeps what it gets."""

    def __init__(self, agent: FakeAgent) -> None:
        self.data = bytearray()
        self.ended = asyncio.Event()
        agent.on_stream = self._take

    async def _take(self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            self.data += data
        self.ended.set()


@asynccontextmanager
async def tcp_router(**changes: Any) -> AsyncIterator[Harness]:
    listeners = (
        Listener(name="http", port=0, protocol="http"),
        Listener(name="signalling", port=0, protocol="signalling"),
        Listener(name="frames", port=953, target_port=0, protocol="tcp"),
    )
    async with running_router(listeners=listeners, **changes) as router:
        yield router


@asynccontextmanager
async def client_of(
    router: Harness,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", router.router.ports["frames"])
    try:
        yield reader, writer
    finally:
        writer.close()


def result(router: Harness, name: str) -> float:
    return metric(router.router, "connections_total", protocol="TCP", result=name)


async def test_bytes_reach_the_session_that_names_the_listener() -> None:
    async with tcp_router() as router:
        _, agent, _ = await router.add(public=True, **PUBLIC)
        sink = Sink(agent)
        sent = os.urandom(3 << 20)
        async with client_of(router) as (_, writer):
            writer.write(sent)
            await writer.drain()
        await asyncio.wait_for(sink.ended.wait(), 10)
        assert bytes(sink.data) == sent
        (grant,) = agent.grants
        assert (grant.protocol, grant.workload, grant.role) == (Protocol.TCP, "stream", "publisher")
        await until(lambda: result(router, "Bound") == 1)


async def test_each_publisher_gets_a_pod_of_its_own() -> None:
    async with tcp_router() as router:
        pool = await Pool.create(router, **PUBLIC)
        sinks = [Sink(await pool.start_pod()) for _ in range(2)]
        async with client_of(router) as (_, one), client_of(router) as (_, other):
            one.write(b"one")
            other.write(b"other")
            await until(lambda: {bytes(sink.data) for sink in sinks} == {b"one", b"other"})
            await pool.recorded(2)


async def test_connection_that_says_nothing_takes_no_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "FIRST_BYTE_TIMEOUT_S", 0.2)
    async with tcp_router() as router:
        pool = await Pool.create(router, **PUBLIC)
        agent = await pool.start_pod()
        async with client_of(router) as (reader, _):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        async with client_of(router):
            pass
        await until(lambda: result(router, "Broken") == 1)
        await until(lambda: result(router, "Abandoned") == 1)
        assert not agent.assignments


async def test_refused_connection_is_closed_and_counted() -> None:
    async with tcp_router() as router:
        await router.add(public=True, listeners=("frames",), workloads=("circle",))
        async with client_of(router) as (reader, writer):
            writer.write(b"x")
            assert await _is_closed(reader)
        await until(lambda: result(router, "UnknownSession") == 1)


async def test_reset_of_the_client_ends_the_connection_to_the_pod() -> None:
    async with tcp_router() as router:
        _, agent, _ = await router.add(public=True, **PUBLIC)
        sink = Sink(agent)
        async with client_of(router) as (_, writer):
            writer.write(b"abc")
            await until(lambda: bytes(sink.data) == b"abc")
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()
        await until(lambda: not agent.connections)
        await until(lambda: result(router, "Broken") + result(router, "Bound") == 1)


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionError:
        return True
