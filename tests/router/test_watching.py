"""Viewers through the router: what the pod sends is passed on, to whom it may be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from fakes.fake_agent import FakeAgent
from podstream_core.agentapi import Protocol
from podstream_core.names import VIEW_CLAIM, VIEW_SCOPE
from podstream_router.routes import SessionRoute
from router.harness import Harness, metric, until

PATHS = {Protocol.MJPEG: "/s/lab/cam/mjpeg", Protocol.VIEW: "/s/lab/cam/frames"}
FRAME = bytes(range(256)) * 3600

Sender = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def frames(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _number in range(3):
        writer.write(FRAME)
        await writer.drain()


async def one_and_wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FRAME)
    await writer.drain()
    await reader.read()


async def camera(
    router: Harness, *, public: bool = True, send: Sender = frames
) -> tuple[SessionRoute, FakeAgent]:
    session, agent, _ = await router.add("cam", workloads=("stream",), public=public)
    agent.on_stream = send
    return session, agent


@asynccontextmanager
async def watched(
    router: Harness, http: aiohttp.ClientSession, path: str, **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    async with http.get(router.url(path), headers=headers) as response:
        yield response


@pytest.mark.parametrize("protocol", PATHS)
async def test_viewer_gets_what_the_pod_sends(
    router: Harness, http: aiohttp.ClientSession, protocol: Protocol
) -> None:
    _, agent = await camera(router)
    async with watched(router, http, PATHS[protocol], Origin="http://elsewhere") as response:
        assert response.status == 200
        assert await response.read() == FRAME * 3
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cache-Control"] == "no-store"
    (grant,) = agent.grants
    assert (grant.workload, grant.role, grant.protocol) == ("stream", "viewer", protocol)
    assert metric(router.router, "connections_total", protocol=protocol.value, result="Bound") == 1


async def test_viewer_that_leaves_was_served(router: Harness, http: aiohttp.ClientSession) -> None:
    await camera(router, send=one_and_wait)
    response = await http.get(router.url(PATHS[Protocol.VIEW]))
    await response.content.readexactly(len(FRAME))
    response.close()
    labels = {"protocol": Protocol.VIEW.value, "result": "Bound"}
    await until(lambda: metric(router.router, "connections_total", **labels) == 1)


async def test_mjpeg_names_the_boundary_that_browsers_need(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    await camera(router)
    async with watched(router, http, PATHS[Protocol.MJPEG]) as response:
        expected = "multipart/x-mixed-replace; boundary=podstream-frame"
        assert response.headers["Content-Type"] == expected


async def test_two_viewers_with_one_token_are_two(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent = await camera(router, public=False)
    for _ in range(2):
        async with http.get(
            router.url(PATHS[Protocol.VIEW]), headers=router.bearer(session)
        ) as response:
            await response.read()
    assert len({grant.holder for grant in agent.grants}) == 2


def view_token(router: Harness, session: SessionRoute) -> str:
    return router.token(session, claims={VIEW_CLAIM: VIEW_SCOPE})


@pytest.mark.parametrize("place", ["header", "query"])
async def test_view_token_opens_pictures_and_nothing_else(
    router: Harness, http: aiohttp.ClientSession, place: str
) -> None:
    session, _ = await camera(router, public=False)
    token = view_token(router, session)
    headers = {"Authorization": f"Bearer {token}"}
    if place == "header":
        request = http.get(router.url(PATHS[Protocol.MJPEG]), headers=headers)
    else:
        request = http.get(router.url(f"{PATHS[Protocol.MJPEG]}?token={token}"))
    async with request as response:
        assert response.status == 200
    for method, path in (
        ("GET", "/s/lab/cam/results"),
        ("GET", "/s/lab/cam/results/stream-a.avi"),
        ("DELETE", "/s/lab/cam/whip/c1"),
    ):
        async with http.request(method, router.url(path), headers=headers) as response:
            assert response.status == 403
            assert "pictures only" in (await response.json())["message"]


async def test_viewing_needs_a_token_of_the_session(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    await camera(router, public=False)
    other, _, _ = await router.add("other", workloads=("stream",))
    path = PATHS[Protocol.MJPEG]
    async with watched(router, http, path) as response:
        assert response.status == 401
    async with watched(router, http, f"{path}?token=nonsense") as response:
        assert response.status == 401
    async with watched(router, http, f"{path}?token={view_token(router, other)}") as response:
        assert response.status == 403


async def test_session_without_pictures_has_none_to_show(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    await router.add("cam", public=True)
    async with watched(router, http, PATHS[Protocol.MJPEG]) as response:
        assert response.status == 404
        assert "no workload that speaks MJPEG" in (await response.json())["message"]


async def test_viewer_too_many_is_told(router: Harness, http: aiohttp.ClientSession) -> None:
    _, agent = await camera(router)
    agent.refusals.append((409, "Busy"))
    async with watched(router, http, PATHS[Protocol.MJPEG]) as response:
        assert response.status == 503
        assert (await response.json())["error"] == "Busy"


async def test_viewer_that_leaves_frees_its_place(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    _, agent = await camera(router, send=one_and_wait)
    async with watched(router, http, PATHS[Protocol.VIEW]) as response:
        await response.content.readexactly(len(FRAME))
        assert len(agent.connections) == 1
    await until(lambda: not agent.connections)
    await until(lambda: router.router._streaming.count == 0)


async def test_viewer_is_let_go_when_the_router_ends(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    await camera(router, send=one_and_wait)
    async with watched(router, http, PATHS[Protocol.VIEW]) as response:
        await response.content.readexactly(len(FRAME))
        router.router._watching.end()
        async with asyncio.timeout(5):
            assert await response.read() == b""
