import asyncio
import json
from typing import Any

import aiohttp
import pytest

from podstream_core.api import SessionKey
from podstream_router.claims import recorder
from podstream_router.watch import ApiError, ApiUnreachable
from router.harness import Harness, metric, running_router, until
from router.pools import Pool


@pytest.fixture(autouse=True)
def fast_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(recorder, "RETRY_LAST_S", 0.01)


def recordings(router: Harness, result: str) -> float:
    return metric(router.router, "recordings_total", result=result)


def key_of(text: str) -> SessionKey:
    return SessionKey.parse(text)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([ApiError(429, "slow down", retry_after_s=0.02)], id="too-many-requests"),
        pytest.param([ApiError(500, "oops"), ApiError(503, "etcd")], id="server-errors"),
        pytest.param([ApiUnreachable("timed out")] * 5, id="unreachable"),
        pytest.param([ApiError(401, "token is being renewed")], id="unauthorized"),
    ],
)
async def test_what_passes_is_tried_again_and_the_client_notices_nothing(
    router: Harness, http: aiohttp.ClientSession, faults: list[Exception]
) -> None:
    router.api.faults.extend(faults)
    pool = await Pool.create(router, warm=1)
    reply = await pool.connect(http)
    assert reply.status == 201
    await pool.recorded(1)
    await until(lambda: recordings(router, "created") == 1)
    assert recordings(router, "retried") == len(faults)
    assert not pool.agents[0].drains


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_session_that_is_refused_for_good_ends_its_connection(
    router: Harness, http: aiohttp.ClientSession, status: int
) -> None:
    router.api.faults.append(ApiError(status, "exceeded quota: sessions=3"))
    pool = await Pool.create(router, warm=1)
    reply = await pool.connect(http)
    assert reply.status == 201, "the pod had taken it before the API server was asked"
    (agent,) = pool.agents
    await until(lambda: agent.drains)
    assert agent.drains[0]["reason"] == "SessionRejected"
    assert "exceeded quota" in agent.drains[0]["message"]
    assert recordings(router, "rejected") == 1
    assert router.router.routes.session(key_of(reply.session)) is None


async def test_refused_session_ends_its_pod_though_the_pod_is_slow_to_hear(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstream_router.claims.release._DELAYS_S", (0.01, 0.01, 0.01))
    router.api.faults.append(ApiError(422, "invalid"))
    pool = await Pool.create(router, warm=1)
    (agent,) = pool.agents
    agent.drain_refusals.extend([(500, "Oops")] * 2)
    await pool.connect(http)
    await until(lambda: agent.drains)


async def test_session_that_cannot_be_created_in_time_ends_its_connection(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "GIVE_UP_S", 0.05)
    router.api.faults.extend([ApiUnreachable("no route")] * 1000)
    pool = await Pool.create(router, warm=1)
    await pool.connect(http)
    (agent,) = pool.agents
    await until(lambda: agent.drains)
    assert "within 0.05 s" in agent.drains[0]["message"]
    assert recordings(router, "expired") == 1


async def test_lost_answer_of_a_creation_makes_no_second_session(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    created: list[dict[str, Any]] = []

    async def create(path: str, *, query: Any, body: Any) -> None:
        if created:
            raise ApiError(409, "already exists")
        created.append(dict(body))
        router.api.sessions.append(dict(body))
        raise ApiUnreachable("the answer was lost")

    router.api.create = create  # type: ignore[method-assign]
    pool = await Pool.create(router, warm=1)
    await pool.connect(http)
    await until(lambda: recordings(router, "created") == 1)
    assert len(created) == 1
    assert not pool.agents[0].drains


async def test_name_that_somebody_else_has_ends_the_connection(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    async def get(path: str, *, query: Any) -> bytes:
        return json.dumps({"metadata": {"name": path, "annotations": {}}}).encode()

    router.api.faults.append(ApiError(409, "already exists"))
    router.api.get = get  # type: ignore[method-assign]
    pool = await Pool.create(router, warm=1)
    await pool.connect(http)
    await until(lambda: pool.agents[0].drains)
    assert recordings(router, "rejected") == 1


async def test_session_that_is_not_created_yet_is_served_from_its_provisional_route(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    router.api.faults.extend([ApiUnreachable("no route")] * 100_000)
    pool = await Pool.create(router, warm=1)
    reply = await pool.connect(http)
    await until(lambda: recordings(router, "retried") > 1)
    assert metric(router.router, "unrecorded_sessions") == 1
    bearer = {"Authorization": f"Bearer {reply.token}"}
    async with http.delete(router.url(reply.headers["Location"]), headers=bearer) as response:
        assert response.status == 200
    assert not pool.agents[0].connections

    router.api.faults.clear()
    bodies = await pool.recorded(1)
    session = pool.adopt(bodies[0])
    assert router.router.routes.session(session.key) == router.router.routes.session_by_subject(
        session.uid
    )
    await until(lambda: metric(router.router, "unrecorded_sessions") == 0)


async def test_pools_take_nobody_while_too_many_sessions_wait_for_the_api_server(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_OPEN", 1)
    router.api.faults.extend([ApiUnreachable("no route")] * 100_000)
    pool = await Pool.create(router, warm=2)
    assert (await pool.connect(http)).status == 201
    reply = await pool.connect(http)
    assert (reply.status, '"Overloaded"' in reply.body) == (503, True)
    router.api.faults.clear()
    await pool.recorded(1)
    await until(lambda: metric(router.router, "unrecorded_sessions") == 0)
    assert (await pool.connect(http)).status == 201


async def test_shutdown_waits_for_sessions_that_are_still_to_be_created(
    http: aiohttp.ClientSession,
) -> None:
    async with running_router(drain_timeout_s=5.0) as router:
        router.api.faults.extend([ApiUnreachable("no route")] * 20)
        pool = await Pool.create(router, warm=1)
        await pool.connect(http)
        assert not router.api.sessions
        router.stop.set()
        await pool.recorded(1)
        assert not pool.agents[0].drains


async def test_shutdown_ends_connections_whose_session_never_came_about(
    http: aiohttp.ClientSession,
) -> None:
    async with running_router(drain_timeout_s=0.1) as router:
        router.api.faults.extend([ApiUnreachable("no route")] * 100_000)
        pool = await Pool.create(router, warm=1)
        await pool.connect(http)
        router.stop.set()
        (agent,) = pool.agents
        await until(lambda: agent.drains)
        assert "router went away" in agent.drains[0]["message"]
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("record:")]
