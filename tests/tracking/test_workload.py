"""A site as its agent drives it: connections handed over, roles counted, figures for status."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fakes.context import Context
from podstream_core import names
from podstream_core.agentapi import Protocol
from podstream_core.api import Results, SessionSpec, TrackingResults
from podstream_workloads.agent import Connection, NotReady, SpecRejected, UnsupportedOffer
from podstream_workloads.tracking.workload import TrackingWorkload


@asynccontextmanager
async def configured(
    folder: Path, **orchestrator: Any
) -> AsyncIterator[tuple[TrackingWorkload, Context, str]]:
    """A workload with its session, and a base URL whose connections are handed to it."""
    workload, context = TrackingWorkload(), Context(folder)
    spec = SessionSpec.from_body({"tracking": {"orchestrator": orchestrator}})
    await workload.configure(spec, context)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    accepting = asyncio.create_task(_accept(listener, workload))
    try:
        yield workload, context, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        accepting.cancel()
        with suppress(asyncio.CancelledError):
            await accepting
        listener.close()
        await workload.drain()


async def _accept(listener: socket.socket, workload: TrackingWorkload) -> None:
    number = 0
    while True:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        sock.setblocking(False)
        number += 1
        connection = Connection(id=f"c{number}", role="client", protocol=Protocol.HTTP)
        await workload.connect_stream(connection, sock=sock)


async def _start_object(http: aiohttp.ClientSession, base: str) -> int:
    """One camera, one client, one object that is seen; its id."""
    async with http.ws_connect(f"{base}/processor") as camera:
        await camera.send_str('{"type":"identifier","id":"gate"}')
        async with http.ws_connect(f"{base}/client") as client:
            await client.send_str('{"type":"setUsesImages","usesImages":true}')
            await asyncio.sleep(0)
            await _until_named(camera)
            await client.send_str('{"type":"start","cameraId":"gate","frameId":5.0,"boxId":0}')
            started = await camera.receive_json(timeout=10)
            assert started["type"] == "start"
            number: int = started["objectId"]
            boxes = '{"type":"boundingBoxes","frameId":5.0,"boxes":[{"boxId":0,"objectId":%d}]}'
            await camera.send_str(boxes % number)
            while (await client.receive_json(timeout=10))["type"] != "boundingBoxes":
                pass
            return number


async def _until_named(camera: aiohttp.ClientWebSocketResponse) -> None:
    """What comes before the answer has been dealt with."""
    await camera.send_str('{"type":"hello"}')
    while (await camera.receive_json(timeout=10))["type"] != "hello":
        pass


async def test_a_site_serves_what_the_agent_hands_over(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, context, base), aiohttp.ClientSession() as http:
        assert context.reports == ["ready"]
        assert not workload.is_finite
        assert await _start_object(http, base) == 1
        async with http.get(f"{base}/objectIds") as answer:
            assert await answer.text() == '{"data":[1]}'
        await context.reported("lost c1")
        await context.reported("lost c2")
        await context.reported("first frame")
        await context.reported("results")
        figures = (await workload.results()).figures
        assert isinstance(figures, TrackingResults)
        site = figures.orchestrator
        assert site is not None
        assert (site.objects_ever, site.boxes_in, site.boxes_out) == (1, 1, 1)
        assert [line.object_id for line in site.timelines] == [1]
        assert site.timelines[0].cameras == ["gate"]
        Results.from_body({"tracking": figures.to_body()})  # as the agent reads it


async def test_ids_go_on_where_the_volume_is_kept(tmp_path: Path) -> None:
    kept = {"timelines": {"volume": {"claimName": "site", "path": "north/gate"}}}
    for number in (1, 2):
        async with configured(tmp_path, **kept) as (_, _, base), aiohttp.ClientSession() as http:
            assert await _start_object(http, base) == number
    folder = tmp_path / names.TRACKING_TIMELINES / "north/gate"
    assert (folder / "timelines.sqlite3").stat().st_size > 0


async def test_only_pages_of_the_named_origins_may_connect(tmp_path: Path) -> None:
    async with (
        configured(tmp_path, origins=["https://site.example"]) as (_, _, base),
        aiohttp.ClientSession() as http,
    ):
        async with http.ws_connect(f"{base}/client", origin="https://site.example"):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{base}/client", origin="https://elsewhere.example")
    assert refused.value.status == 403


async def test_capacities_are_those_of_the_spec(tmp_path: Path) -> None:
    async with configured(tmp_path, maxCameras=2, maxClients=5) as (workload, _, _):
        assert workload.capacities["camera"] == 2
        assert workload.capacities["client"] == 5
        assert workload.observers == {"caller"}


async def test_drain_says_goodbye(tmp_path: Path) -> None:
    async with (
        configured(tmp_path) as (workload, _, base),
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{base}/client") as client,
    ):
        receiving = asyncio.create_task(client.receive(timeout=20))
        await asyncio.sleep(0)
        await workload.drain()
        assert (await receiving).data == 1001


async def test_other_protocols_and_early_connections_are_refused(tmp_path: Path) -> None:
    left, right = socket.socketpair()
    connection = Connection(id="c", role="client", protocol=Protocol.HTTP)
    with right, pytest.raises(NotReady):
        await TrackingWorkload().connect_stream(connection, sock=left)
    left, right = socket.socketpair()
    async with configured(tmp_path) as (workload, _, _):
        connection = Connection(id="c", role="client", protocol=Protocol.TCP)
        with right, pytest.raises(UnsupportedOffer):
            await workload.connect_stream(connection, sock=left)


@pytest.mark.parametrize("key", [None, "no key"])
async def test_a_key_that_cannot_be_used_is_the_spec_s_fault(
    tmp_path: Path, key: str | None
) -> None:
    if key is not None:
        folder = tmp_path / names.TRACKING_AUTH
        folder.mkdir(parents=True)
        (folder / names.TRACKING_PUBLIC_KEY).write_text(key)
    auth = {"publicKey": {"secretName": "k"}, "audience": "a", "clientRole": "r"}
    spec = SessionSpec.from_body({"tracking": {"orchestrator": {"auth": auth}}})
    with pytest.raises(SpecRejected, match="publicKey"):
        await TrackingWorkload().configure(spec, Context(tmp_path))
