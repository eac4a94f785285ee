"""An orchestrator on loopback, and peers that talk to it over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

from podstream_workloads.tracking.orchestrator import (
    Clock,
    Orchestrator,
    OrchestratorSettings,
    SqliteTimelines,
    SystemClock,
    TimelineStore,
)

PATIENCE_S = 30.0  # what must come, comes within this also on a loaded machine
BOX = {"boxId": 0, "rect": [0.1, 0.2, 0.3, 0.4], "objectType": "person", "certainty": 0.9}


@dataclass
class FakeClock:
    """A clock that moves when it is told to."""

    now: float = 1000.0
    date: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> float:
        return self.date

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.date += seconds


@dataclass
class Wire:
    """One WebSocket and what came over it."""

    socket: aiohttp.ClientWebSocketResponse

    async def say(self, **message: Any) -> Self:
        """Send a message."""
        return await self.say_text(json.dumps(message))

    async def say_text(self, text: str) -> Self:
        """Send anything."""
        await self.socket.send_str(text)
        return self

    async def text(self) -> str:
        """The next message as it came."""
        message = await self.socket.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        text: str = message.data
        return text

    async def next(self) -> Any:
        """The next message."""
        return json.loads(await self.text())

    async def expect(self, **message: Any) -> Self:
        """The next message is this one and has no other member."""
        assert await self.next() == message
        return self

    async def nothing_more(self) -> Self:
        """All that was sent has been dealt with, and nothing has come."""
        await self.say(type="hello")
        await self.expect(type="hello", protocol=1)
        return self

    async def closed(self) -> int | None:
        """The code with which the other side closes; whatever comes before it is dropped."""
        while True:
            message = await self.socket.receive(timeout=PATIENCE_S)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return int(message.data)  # 0: without a code
            if message.type is not aiohttp.WSMsgType.TEXT:
                return self.socket.close_code


@dataclass
class Server:
    """A running orchestrator."""

    orchestrator: Orchestrator
    port: int
    session: aiohttp.ClientSession
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self, path: str, **options: Any) -> Wire:
        """A new peer at a path."""
        socket = await self.session.ws_connect(f"{self.url}{path}", max_msg_size=0, **options)
        self.stack.push_async_callback(socket.close)
        return Wire(socket)

    async def client(self, *, images: bool = False, **options: Any) -> Wire:
        """A client that gets broadcasts when this returns."""
        before = self.orchestrator.results().clients
        wire = await self.connect("/client", **options)
        await until(lambda: self.orchestrator.results().clients > before)
        if images:
            await wire.say(type="setUsesImages", usesImages=True)
        return wire

    async def processor(self, name: Any = None, **options: Any) -> Wire:
        """A processor; with a name it has registered when this returns."""
        wire = await self.connect("/processor", **options)
        if name is not None:
            before = self.orchestrator.results().cameras
            await wire.say(type="identifier", id=name)
            await until(lambda: self.orchestrator.results().cameras > before)
        return wire

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        """Status and body of a GET."""
        async with self.session.get(f"{self.url}{path}", **options) as response:
            return response.status, await response.text()


async def until(condition: Any) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - looks into another object
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(
    settings: OrchestratorSettings | None = None,
    *,
    store: TimelineStore | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Server]:
    """Run an orchestrator for as long as the block lasts."""
    orchestrator = Orchestrator(
        settings or OrchestratorSettings(),
        store=store or SqliteTimelines(),
        clock=clock or SystemClock(),
    )
    await orchestrator.open()
    runner = web.AppRunner(orchestrator.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        server = Server(orchestrator, port, session)
        try:
            async with server.stack:
                yield server
        finally:
            await orchestrator.close()
            await runner.cleanup()


async def start(client: Wire, processor: Wire, camera: str, **target: Any) -> int:
    """Start an object by a client; its id. Reads the processor's `start`."""
    await client.say(type="start", cameraId=camera, **(target or {"frameId": 5.0, "boxId": 0}))
    message = await processor.next()
    assert message["type"] == "start"
    number: int = message["objectId"]
    return number
