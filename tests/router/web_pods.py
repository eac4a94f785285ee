"""A pod whose workload speaks HTTP: a real aiohttp server behind the fake agent's stream port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from fakes.fake_agent import FakeAgent
from podstream_router.settings import Listener
from router.harness import Harness, running_router

PUBLIC: dict[str, Any] = {"public": True, "listeners": ("tracking",), "workloads": ("tracking",)}


@asynccontextmanager
async def web_router(**changes: Any) -> AsyncIterator[Harness]:
    """A router with a port for tracking."""
    listeners = (
        Listener(name="http", port=0, protocol="http"),
        Listener(name="tracking", port=80, target_port=0, protocol="http"),
        Listener(name="signalling", port=0, protocol="signalling"),
    )
    async with running_router(listeners=listeners, **changes) as router:
        yield router


class Site:
    """Echoes on its WebSocket, tells what it was asked, and can flood who listens."""

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []
        self.requests: list[web.Request] = []
        self.sent = 0
        self.app = web.Application(client_max_size=1 << 30)
        self.app.router.add_get("/client", self._socket)
        self.app.router.add_get("/processor", self._socket)
        self.app.router.add_get("/flood", self._flood)
        self.app.router.add_get("/socket.io/", self._tell)
        self.app.router.add_get("/timelines", self._tell)
        self.app.router.add_post("/detect_intruder", self._measure)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chat",), max_msg_size=1 << 20)
        await socket.prepare(request)
        self.requests.append(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data == "bye":
                await socket.close(code=4003)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def _flood(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))
            self.sent += 1 << 16

    async def _tell(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.Response(text=request.path_qs, headers={"Access-Control-Allow-Origin": "*"})

    async def _measure(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response({"bytes": len(await request.read())})


@asynccontextmanager
async def site(agent: FakeAgent, *, slots: int = 8) -> AsyncIterator[Site]:
    """Serve a pod's raw connections."""
    made = Site()
    async with joined(agent, made.app, slots=slots):
        yield made


@asynccontextmanager
async def joined(agent: FakeAgent, app: web.Application, *, slots: int = 8) -> AsyncIterator[None]:
    """Take a pod's raw connections to an application."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    tcp = web.TCPSite(runner, "127.0.0.1", 0)
    await tcp.start()
    port = runner.addresses[0][1]

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:  # a side that breaks ends the other one
                group.create_task(_copy(reader, inner_writer))
                group.create_task(_copy(inner_reader, writer))
        except* OSError:
            pass
        finally:
            inner_writer.transport.abort()

    agent.on_stream = take
    agent.slots = slots
    try:
        yield
    finally:
        await runner.cleanup()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):  # the other side may have gone altogether
        writer.write_eof()
