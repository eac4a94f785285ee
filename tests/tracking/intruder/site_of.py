"""A whole site over loopback sockets: cloud, edge, and stock Socket.IO clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import socketio
from aiohttp import web

from podstream_workloads.tracking.edge.detectors.base import Detection
from podstream_workloads.tracking.intruder import (
    CloudClient,
    CloudClientSettings,
    CloudService,
    CloudSettings,
    IntruderEdge,
    IntruderEdgeSettings,
    Recogniser,
    Verdict,
)

WALL = 128
"""Gray of the wall in every scene, as behind portraits."""


def jpeg(picture: Any, quality: int = 92) -> bytes:
    """The picture as a JPEG file."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)


def room(*portraits: Any) -> Any:
    """A room of 640 x 360 pixels with these people side by side, empty without any."""
    scene = np.full((360, 640, 3), WALL, np.uint8)
    for place, portrait in enumerate(portraits):
        height, width = portrait.shape[:2]
        left = 40 + place * (width + 60)
        scene[80 : 80 + height, left : left + width] = portrait
    return scene


class NotTheWall:
    """A detector of everything that is not the wall; counts what it looked at."""

    name = "not-the-wall"
    version = "1"

    def __init__(self, *, before: Callable[[], object] | None = None) -> None:
        self.looks = 0
        self._before = before

    def detect(self, image: Any) -> list[Detection]:
        self.looks += 1
        if self._before is not None:
            self._before()
        differs = (np.abs(image.astype(int) - WALL).max(axis=2) > 24).astype(np.uint8)
        joined = cv2.dilate(differs, np.ones((15, 15), np.uint8))
        _, _, boxes, _ = cv2.connectedComponentsWithStats(joined)
        return [
            Detection((float(x), float(y), float(x + w), float(y + h)), 0.9, "person")
            for x, y, w, h, area in boxes[1:]
            if area > 2000
        ]


@dataclass
class Answering:
    """A recogniser that gives one answer, after a delay, and keeps what it was asked."""

    verdict: Verdict
    delay_s: float = 0.0
    asked: list[bytes] = field(default_factory=list)
    name: str = "answering"
    trouble: str = ""

    async def open(self) -> None:
        pass

    async def recognise(self, picture: bytes, *, track: str) -> Verdict:
        self.asked.append(picture)
        await asyncio.sleep(self.delay_s)
        return self.verdict

    async def close(self) -> None:
        pass


@asynccontextmanager
async def serving(app: web.Application, *, port: int = 0) -> AsyncIterator[str]:
    """The application on a loopback port; gives its base URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def cloud_of(
    recogniser: Recogniser, settings: CloudSettings | None = None
) -> AsyncIterator[tuple[CloudService, str]]:
    """A cloud service with this recogniser, and its base URL."""
    service = CloudService(settings or CloudSettings(), recogniser=recogniser)
    await service.open()
    try:
        async with serving(service.app()) as url:
            yield service, url
    finally:
        await service.close()


@asynccontextmanager
async def edge_of(
    cloud_url: str,
    *,
    detector: Any = None,
    settings: IntruderEdgeSettings | None = None,
    client: dict[str, Any] | None = None,
    port: int = 0,
) -> AsyncIterator[tuple[IntruderEdge, str]]:
    """An edge that asks this cloud, and its base URL."""
    cloud = CloudClient(CloudClientSettings(url=cloud_url, **(client or {})))
    edge = IntruderEdge(
        settings or IntruderEdgeSettings(), detector=detector or NotTheWall(), cloud=cloud
    )
    await edge.open()
    try:
        async with serving(edge.app(), port=port) as url:
            yield edge, url
    finally:
        await edge.close()


class Device:
    """A stock Socket.IO client that remembers every event it got."""

    def __init__(self, **options: Any) -> None:
        self.client = socketio.AsyncClient(reconnection=False, **options)
        self.events: list[tuple[str, Any]] = []
        self._new = asyncio.Condition()
        self.client.on("*", self._on_event)
        self.client.on("disconnect", self._on_gone)

    async def _on_event(self, event: str, *data: Any) -> None:
        async with self._new:
            self.events.append((event, data[0] if data else None))
            self._new.notify_all()

    async def _on_gone(self, *_: Any) -> None:
        await self._on_event("gone")

    async def send(self, name: str, data: Any) -> None:
        await self.client.emit("frame_event", {"frame_name": name, "data": data})

    def count(self, event: str) -> int:
        return sum(each == event for each, _ in self.events)

    def names(self, event: str) -> list[str]:
        """Frame names of all events of a kind, in order."""
        return [data["frame_name"] for each, data in self.events if each == event]

    async def until(self, event: str, count: int = 1, *, timeout_s: float = 60) -> None:
        """Wait for as many events of a kind."""
        async with asyncio.timeout(timeout_s), self._new:
            await self._new.wait_for(lambda: self.count(event) >= count)


@asynccontextmanager
async def device(url: str, **options: Any) -> AsyncIterator[Device]:
    """A connected stock client."""
    made = Device(**options)
    await made.client.connect(url, wait_timeout=30)
    try:
        yield made
    finally:
        await made.client.disconnect()


async def eventually(holds: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - a figure, not an event, is waited for
            await asyncio.sleep(0.01)
