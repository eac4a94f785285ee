"""A site on its session's page: a real orchestrator behind the router, in headless Chromium."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from e2e.devtools import browsing
from podstream_dev import clients
from podstream_router.dashboard.board import read_entry
from podstream_router.routes import SessionRoute
from podstream_workloads.tracking.orchestrator import (
    Orchestrator,
    OrchestratorSettings,
    SqliteTimelines,
)
from router.harness import Harness, running_router, until
from router.web_pods import joined

_PERSON = {"boxId": 1, "rect": [0.4, 0.2, 0.6, 0.8], "objectType": "person", "certainty": 0.9}
_POINT_AT_THE_MIDDLE = """(() => {
  const canvas = document.querySelector('canvas[aria-label="Boxes of camera gate"]');
  const {left, top, width, height} = canvas.getBoundingClientRect();
  const middle = {clientX: left + width / 2, clientY: top + height / 2};
  canvas.dispatchEvent(new MouseEvent('click', middle));
})()"""


class Camera:
    """A processor of the original's protocol that always sees one person."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @asynccontextmanager
    async def running(self, url: str, *, headers: dict[str, str]) -> AsyncIterator[None]:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, headers=headers) as socket,
        ):
            await socket.send_str('{"type":"identifier","id":"gate"}')
            tasks = [
                asyncio.create_task(self._listen(socket)),
                asyncio.create_task(self._see(socket)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self.heard.append(message.data)

    async def _see(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        second = 0
        while True:
            second += 1
            tracked = {"objectId": 1} if self._last == "start" else {}
            boxes = {
                "type": "boundingBoxes",
                "frameId": float(second),
                "boxes": [_PERSON | tracked],
            }
            await socket.send_str(json.dumps(boxes))
            await asyncio.sleep(0.1)

    @property
    def _last(self) -> str:
        return str(json.loads(self.heard[-1])["type"]) if self.heard else ""


def show(router: Harness, session: SessionRoute) -> None:
    body = {
        "metadata": {
            "name": session.key.name,
            "namespace": session.key.namespace,
            "uid": session.uid,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"tracking": {"orchestrator": {}}},
        "status": {"phase": "Ready", "workloads": "tracking", "conditions": [], "timeline": {}},
    }
    entry = read_entry(msgspec.Raw(json.dumps(body).encode()), kind="session")
    router.router.board.put(entry)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[web.Application]:
    store = SqliteTimelines(tmp_path / "site.db")
    orchestrator = Orchestrator(OrchestratorSettings(), store=store)
    await orchestrator.open()
    yield orchestrator.app()
    await orchestrator.close()


async def test_a_box_that_is_pointed_at_is_tracked(site: web.Application) -> None:
    program = await asyncio.to_thread(clients.chromium)
    axe = await asyncio.to_thread(clients.axe)
    camera = Camera()
    async with running_router() as router:
        session, agent, _ = await router.add("site", workloads=("tracking",))
        show(router, session)
        processor = router.url("/s/lab/site/processor")
        async with (
            joined(agent, site),
            camera.running(processor, headers=router.bearer(session)),
            browsing(program, origin=router.url("").rstrip("/")) as browser,
        ):
            await browser.go(router.url("/"))
            await browser.type("#token", router.token(session))
            await browser.press("Log in")
            await browser.press("Watch the site")
            await browser.text("Track person 1")
            await browser.run(_POINT_AT_THE_MIDDLE)
            await browser.text("Stop object 1")
            await browser.text("Timelines")
            await until(lambda: bool(camera.heard))
            start = camera.heard[0]
            assert json.loads(start)["type"] == "start"
            assert ".0," in start, "the frame's number keeps the form that processors ask for"
            if axe is not None:
                assert await browser.axe(axe.read_text()) == []
            await browser.press("Stop object 1")
            await browser.text("Track person 1")
            assert camera.heard[1:] == ['{"type":"stop","objectId":1}']
            assert browser.complaints == []
