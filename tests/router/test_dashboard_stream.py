"""Pages hear of changes as they happen, and of nothing that is not theirs."""

import asyncio
import json
from typing import Any

import aiohttp
import msgspec
import pytest

from podstream_core.api import CircleResults, PoolKey, Results, SessionKey
from podstream_router.dashboard import Board, Copied
from podstream_router.dashboard.board import read_entry
from podstream_router.feeds import SessionFeed
from podstream_router.routes import RouteTable
from podstream_router.settings import Limits
from router.dashboards import ADA, add, as_person, events, gone, know_people, session_entry, show
from router.harness import Harness, running_router

WAIT_S = 10.0


async def test_a_person_hears_of_all_sessions_and_pools(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    know_people(router)
    ball = add(router, phase="Starting")
    async with http.get(router.url("/api/v1/events"), headers=as_person(ADA)) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        stream = events(response)
        async with asyncio.timeout(WAIT_S):
            name, data = await anext(stream)
            assert (name, data["name"], data["status"]["phase"]) == ("session", "ball", "Starting")
            assert (await anext(stream))[0] == "ready"
            router.router.board.put(session_entry(ball, phase="Ready"))
            name, data = await anext(stream)
            assert (name, data["status"]["phase"]) == ("session", "Ready")
            add(router, "cube")
            assert (await anext(stream))[1]["name"] == "cube"
            pool = {
                "metadata": {
                    "name": "media",
                    "namespace": "lab",
                    "uid": "p",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                }
            }
            router.router.board.put(read_entry(msgspec.Raw(json.dumps(pool).encode()), kind="pool"))
            assert (await anext(stream))[0] == "pool"
            gone(router, ball)
            assert await anext(stream) == ("session-gone", {"namespace": "lab", "name": "ball"})


async def test_a_page_of_an_empty_cluster_is_ready_at_once(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstream_router.dashboard.stream.HEARTBEAT_S", 3600.0)
    know_people(router)
    async with http.get(router.url("/api/v1/events"), headers=as_person(ADA)) as response:
        async with asyncio.timeout(WAIT_S):
            assert (await anext(events(response)))[0] == "ready"


async def test_the_holder_of_a_token_hears_of_one_session_only(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    """Not even the name of another session, nor that it has gone."""
    ball, other = add(router), add(router, "other")
    for path in ("/api/v1/events", "/api/v1/sessions/lab/ball/events"):
        async with http.get(router.url(path), headers=router.bearer(ball)) as response:
            stream = events(response)
            async with asyncio.timeout(WAIT_S):
                assert (await anext(stream))[1]["name"] == "ball"
                assert (await anext(stream))[0] == "ready"
                show(router, other, reason="changed")
                gone(router, other)
                show(router, ball, reason=path)
                name, data = await anext(stream)
                assert (name, data["name"], data["status"]["reason"]) == ("session", "ball", path)
        show(router, other)


async def test_a_session_page_gets_live_figures_of_its_pod(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball = add(router)
    agent, _ = await router.start_agent(ball)
    agent.results = Results(final=False, circle=CircleResults(frames_scored=7, rmse_px=0.5))
    path = router.url("/api/v1/sessions/lab/ball/events")
    async with http.get(path, headers=router.bearer(ball)) as response:
        async with asyncio.timeout(WAIT_S):
            async for name, data in events(response):
                if name == "figures" and data["results"]["circle"]["framesScored"] == 8:
                    break
                agent.results = Results(final=False, circle=CircleResults(frames_scored=8))


async def test_open_pages_are_bounded(http: aiohttp.ClientSession) -> None:
    async with running_router(limits=Limits(dashboard_streams=2)) as router:
        ball = add(router)
        path, headers = router.url("/api/v1/events"), router.bearer(ball)
        async with (
            http.get(path, headers=headers),
            http.get(path, headers=headers),
            http.get(path, headers=headers) as refused,
        ):
            assert refused.status == 503
            assert (await refused.json())["error"] == "Overloaded"
        async with asyncio.timeout(WAIT_S):
            while True:  # a place is free once the router has noticed that a page has gone
                async with http.get(path, headers=headers) as response:
                    if response.status == 200:
                        break


async def test_a_right_that_is_taken_away_ends_the_stream(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstream_router.dashboard.stream.RECHECK_S", 0.2)
    monkeypatch.setattr("podstream_router.dashboard.stream.HEARTBEAT_S", 0.1)
    monkeypatch.setattr("podstream_router.dashboard.people.KEPT_S", 0.1)
    know_people(router)
    add(router)
    async with http.get(router.url("/api/v1/events"), headers=as_person(ADA)) as response:
        stream = events(response)
        async with asyncio.timeout(WAIT_S):
            assert (await anext(stream))[0] == "session"
            assert (await anext(stream))[0] == "ready"
            router.api.on_send = lambda *_: b'{"status": {"authenticated": false}}'
            assert [item async for item in stream] == []


async def test_open_pages_do_not_hold_up_a_shutdown(http: aiohttp.ClientSession) -> None:
    async with running_router(drain_timeout_s=30.0) as router:
        ball = add(router)
        async with http.get(router.url("/api/v1/events"), headers=router.bearer(ball)) as response:
            stream = events(response)
            async with asyncio.timeout(WAIT_S):
                await anext(stream)
                router.stop.set()
                async for _ in stream:
                    pass


async def test_what_a_slow_page_has_not_taken_is_merged() -> None:
    board = Board()
    with board.subscribed() as changes:
        from_ = session_entry_of("ball", phase="Starting")
        board.put(from_)
        board.put(session_entry_of("ball", phase="Ready"))
        board.put(session_entry_of("ball", phase="Ready"))
        assert await changes.wait(timeout_s=1) == {("session", SessionKey("lab", "ball"))}
        assert await changes.wait(timeout_s=0.01) == set()
        board.put(session_entry_of("ball", phase="Ready"))
        assert await changes.wait(timeout_s=0.01) == set(), "nothing has changed"


def session_entry_of(name: str, **status: Any) -> Any:
    return read_entry(session_body(name, **status), kind="session")


def session_body(name: str, **status: Any) -> msgspec.Raw:
    body = {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"circle": {}},
        "status": status,
    }
    return msgspec.Raw(json.dumps(body).encode())


def test_the_board_follows_lists_and_events_of_the_watch() -> None:
    board, routes = Board(), RouteTable()
    feed = Copied(SessionFeed(routes), board=board, kind="session")
    feed.replace("lab", [session_body("ball"), session_body("cube"), msgspec.Raw(b'{"odd": 1}')])
    assert [entry.place[1].name for entry in board.all("session")] == ["ball", "cube"]
    assert routes.session(SessionKey("lab", "ball")) is not None, "routes are fed as before"
    feed.apply("DELETED", session_body("ball"))
    feed.apply("ADDED", session_body("disc"))
    assert [entry.place[1].name for entry in board.all("session")] == ["cube", "disc"]
    feed.replace("lab", [])
    assert list(board.all("session")) == []
    assert routes.pool(PoolKey("lab", "none")) is None
