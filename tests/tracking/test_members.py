"""Camera, edge and cloud as their agents run them; the router is a web server with its paths."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fakes.context import Context
from podstream_core import names
from podstream_core.agentapi import Protocol
from podstream_core.api import Results, SessionSpec, TrackingResults
from podstream_workloads.agent import Connection, SpecRejected
from podstream_workloads.tracking.orchestrator import (
    Orchestrator,
    OrchestratorSettings,
    SqliteTimelines,
)
from podstream_workloads.tracking.workload import TrackingWorkload
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import jpeg, room

CLOUD = {"recognition": {"gallery": {"claimName": "faces", "path": "known.npz"}}}
CAMERA = {"camera": {"id": "gate", "siteRef": {"name": "yard"}, "fps": 30}}
EDGE = {"edge": {"cloudRef": {"name": "cloud"}, "maxConnections": 4}}


@asynccontextmanager
async def router(
    app: web.Application, name: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> AsyncIterator[None]:
    """The paths of one session, for who shows its token, which is mounted."""
    token = folder / names.TRACKING_PEER / names.SECRET_TOKEN_KEY
    token.parent.mkdir(parents=True)
    token.write_text("let-me-in\n")

    @web.middleware
    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer let-me-in":
            raise web.HTTPUnauthorized
        answer: web.StreamResponse = await handler(request)
        return answer

    outer = web.Application(middlewares=[check])
    outer.add_subapp(f"/s/n/{name}", app)
    runner = web.AppRunner(outer, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv(names.ENV_ROUTER_URL, f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(folder: Path, tracking: dict[str, Any]) -> AsyncIterator[TrackingWorkload]:
    workload = TrackingWorkload()
    await workload.configure(SessionSpec.from_body({"tracking": tracking}), Context(folder))
    try:
        yield workload
    finally:
        await workload.drain()


async def figures(workload: TrackingWorkload) -> TrackingResults:
    found = (await workload.results()).figures
    assert isinstance(found, TrackingResults)
    Results.from_body({"tracking": found.to_body()})  # as the agent reads it
    return found


async def ask(workload: TrackingWorkload, path: str, **options: Any) -> tuple[int, str]:
    """One request over a connection that is handed over."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)

    async def accept() -> None:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        sock.setblocking(False)
        connection = Connection(id="c", role="caller", protocol=Protocol.HTTP)
        await workload.connect_stream(connection, sock=sock)

    accepting = asyncio.create_task(accept())
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    method = "POST" if "data" in options else "GET"
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, url, **options) as answer,
        ):
            return answer.status, await answer.text()
    finally:
        await accepting
        listener.close()


async def test_a_camera_reports_to_its_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Orchestrator(OrchestratorSettings(), store=SqliteTimelines())
    await site.open()
    try:
        async with (
            router(site.app(), "yard", monkeypatch, tmp_path),
            running(tmp_path, CAMERA) as camera,
        ):
            assert camera.capacities == {}
            assert not camera.is_finite
            async with asyncio.timeout(60):
                while not site.results().boxes_in:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.05)
            assert site.results().cameras == 1
            found = (await figures(camera)).camera
            assert found is not None
            assert found.connected
            assert found.frames > 0
            assert found.sent > 0
    finally:
        await site.close()


async def test_an_edge_takes_devices_and_knows_its_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        router(web.Application(), "cloud", monkeypatch, tmp_path),
        running(tmp_path, EDGE) as edge,
    ):
        assert edge.capacities == {"device": 8, "caller": 16}
        status, text = await ask(edge, "/socket.io/?EIO=4&transport=polling")
        assert status == 200
        assert '"upgrades":["websocket"]' in text
        assert (await figures(edge)).edge is not None


async def test_pictures_of_alarms_are_files_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stranger(_: web.Request) -> web.Response:
        return web.json_response({"result": True})

    cloud = web.Application()
    cloud.router.add_post("/detect_intruder", stranger)
    spec = {
        "edge": {
            **EDGE["edge"],
            "detector": {"method": "Motion", "confidence": 0.1},
            "evidencePictures": 2,
            "uploadPage": True,
        }
    }
    async with (
        router(cloud, "cloud", monkeypatch, tmp_path),
        running(tmp_path, spec) as edge,
    ):
        for number in range(4):
            scene = room(portrait(person(1))) if number % 2 else room()
            form = aiohttp.FormData()
            form.add_field("image", jpeg(scene), filename="a.jpg", content_type="image/jpeg")
            status, text = await ask(edge, "/upload", data=form)
            assert status == 200, text
        found = await figures(edge)
        assert found.edge is not None
        assert found.edge.intruders > 0
        artefacts = (await edge.results()).artefacts
        assert 0 < len(artefacts) <= 2
        assert found.edge.last_evidence == artefacts[-1].name
        assert artefacts[-1].path.read_bytes().startswith(b"\xff\xd8")


async def test_a_cloud_without_its_gallery_raises_no_alarm(tmp_path: Path) -> None:
    async with running(tmp_path, CLOUD) as cloud:
        assert cloud.capacities == {"caller": 64}
        assert await ask(cloud, "/health") == (200, '{"status": "healthy"}')
        status, text = await ask(cloud, "/detect_intruder", data={"device_id": "1"})
        assert (status, text) == (400, '{"error": "no image provided"}')
        found = (await figures(cloud)).recognition
        assert found is not None
        assert (found.requests, found.refused) == (1, 1)


@pytest.mark.parametrize("tracking", [CAMERA, EDGE], ids=["camera", "edge"])
async def test_a_pod_that_knows_no_router_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking: dict[str, Any]
) -> None:
    monkeypatch.delenv(names.ENV_ROUTER_URL, raising=False)
    spec = SessionSpec.from_body({"tracking": tracking})
    with pytest.raises(SpecRejected, match="router"):
        await TrackingWorkload().configure(spec, Context(tmp_path))
