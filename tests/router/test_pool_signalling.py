import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from fakes.fake_agent import FakeAgent
from podstream_router.signalling import listener
from router.harness import EPOCH, Harness, metric, until
from router.pools import Pool
from router.test_signalling import ANSWER, Client, Workload, client_of, result

PUBLIC: dict[str, Any] = {"listeners": ("signalling",)}


async def serving(pool: Pool, **changes: Any) -> FakeAgent:
    """A warm pod whose workload offers to whoever comes."""
    agent = await pool.start_pod(**changes)
    Workload(agent)
    return agent


@asynccontextmanager
async def answered(router: Harness) -> AsyncIterator[Client]:
    """A client that has got an offer and answered it."""
    async with client_of(router) as client:
        assert await client.receive() is not None
        client.send({"sdp": ANSWER, "type": "answer"})
        yield client


async def test_each_client_of_a_listener_gets_a_pod_and_a_session(router: Harness) -> None:
    pool = await Pool.create(router, **PUBLIC)
    agents = [await serving(pool) for _ in range(3)]
    async with answered(router), answered(router), answered(router):
        bodies = await pool.recorded(3)
        assert [len(agent.grants) for agent in agents] == [1, 1, 1]
        assert len({body["metadata"]["name"] for body in bodies}) == 3
        names = {grant.session_uid for agent in agents for grant in agent.grants}
        texts = {body["metadata"]["annotations"]["podstream.dev/assignment"] for body in bodies}
        assert {text.split("/")[0] for text in texts} == names
    await until(lambda: result(router, "Bound") == 3)
    assert not any(agent.drains for agent in agents)


async def test_session_that_names_the_listener_comes_before_any_pool(router: Harness) -> None:
    pool = await Pool.create(router, created=EPOCH - timedelta(days=1), **PUBLIC)
    warm = await serving(pool)
    _, agent, _ = await router.add(public=True, **PUBLIC)
    Workload(agent)
    async with client_of(router) as client:
        await client.receive()
    assert (len(agent.grants), len(warm.assignments)) == (1, 0)


async def test_pool_takes_over_where_the_last_session_is_over(router: Harness) -> None:
    pool = await Pool.create(router, **PUBLIC)
    warm = await serving(pool)
    _, over, _ = await router.add(public=True, **PUBLIC)
    over.refusals.extend([(410, "SessionEnded")] * 10)
    async with answered(router):
        await pool.recorded(1)
    assert len(warm.grants) == 1


async def test_client_that_waits_for_a_pod_takes_a_session_that_comes_first(
    router: Harness,
) -> None:
    pool = await Pool.create(router, **PUBLIC)
    async with client_of(router) as client:
        await until(lambda: metric(router.router, "pool_waiting") == 1)
        _, agent, _ = await router.add(public=True, **PUBLIC)
        Workload(agent)
        assert await client.receive() is not None
        assert metric(router.router, "pool_waiting") == 0
        warm = await serving(pool)
        assert not warm.assignments
        assert len(agent.grants) == 1


async def test_client_waits_for_a_pod_that_is_started_for_it(router: Harness) -> None:
    pool = await Pool.create(router, **PUBLIC)
    async with client_of(router) as client:
        await until(lambda: metric(router.router, "pool_waiting") == 1)
        await serving(pool)
        assert await client.receive() is not None


async def test_client_that_waits_for_a_pool_that_is_not_there_yet(router: Harness) -> None:
    async with client_of(router) as client:
        await until(lambda: router.router._held.count == 1)
        pool = await Pool.create(router, **PUBLIC)
        await serving(pool)
        assert await client.receive() is not None


async def test_pool_at_its_maximum_closes_the_connection_at_once(router: Harness) -> None:
    pool = await Pool.create(router, max=1, **PUBLIC)
    await serving(pool)
    async with answered(router):
        async with client_of(router) as second:
            assert await second.is_closed()
        assert result(router, "Busy") == 1


async def test_connections_that_are_closed_at_once_take_no_pod(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Client and router share a loop here: on a busy machine "at once" may take a while.
    monkeypatch.setattr(listener, "SETTLE_S", 2.0)
    pool = await Pool.create(router, **PUBLIC)
    agent = await serving(pool)
    for _ in range(20):
        async with client_of(router):
            pass
    await until(lambda: result(router, "Abandoned") == 20)
    assert not agent.assignments


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"\x16\x03\x01\x02\x00\n", id="tls"),
        pytest.param(b"SSH-2.0-client\r\n", id="ssh"),
    ],
)
async def test_client_of_another_protocol_takes_no_pod(router: Harness, junk: bytes) -> None:
    pool = await Pool.create(router, **PUBLIC)
    agent = await serving(pool)
    for _ in range(5):
        async with client_of(router) as client:
            client.writer.write(junk)
            assert await client.is_closed()
    assert not agent.assignments
    assert result(router, "Broken") == 5


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"[]\n", id="no-object"),
        pytest.param(b'{"type": "nonsense"}\n', id="unknown-type"),
        pytest.param(json.dumps({"type": "answer", "sdp": "v=0"}).encode() + b"\n", id="no-sdp"),
    ],
)
async def test_junk_makes_no_session_and_ends_its_pod(router: Harness, junk: bytes) -> None:
    pool = await Pool.create(router, **PUBLIC)
    agents = [await serving(pool) for _ in range(3)]
    for _ in range(3):
        async with client_of(router) as client:
            assert await client.receive() is not None
            client.writer.write(junk)
            assert await client.is_closed()
    await until(lambda: all(len(agent.drains) == 1 for agent in agents))
    assert not router.api.attempts


async def test_client_that_leaves_before_it_answers_makes_no_session(router: Harness) -> None:
    pool = await Pool.create(router, **PUBLIC)
    agent = await serving(pool)
    async with client_of(router) as client:
        assert await client.receive() is not None
    await until(lambda: agent.drains)
    assert not router.api.attempts


async def test_flood_is_bounded_by_the_pools_maximum(router: Harness) -> None:
    pool = await Pool.create(router, max=2, **PUBLIC)
    agents = [await serving(pool) for _ in range(2)]

    async def knock() -> bool:
        async with client_of(router) as client:
            return await client.receive() is None

    refused = await asyncio.gather(*(knock() for _ in range(30)))
    assert refused.count(True) == 28
    assert not router.api.attempts
    await until(lambda: all(agent.drains for agent in agents))
