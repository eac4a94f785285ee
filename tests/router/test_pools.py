import asyncio

import aiohttp
import jwt
import pytest

from podstream_router.settings import Limits
from router.harness import Harness, metric, running_router, until
from router.pools import OFFER, SDP, Pool


def claims(router: Harness, result: str) -> float:
    return metric(router.router, "claims_total", result=result)


async def test_parallel_connections_end_on_distinct_pods_and_sessions(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=6)

    replies = await pool.connect_many(http, 6)

    assert [reply.status for reply in replies] == [201] * 6
    assert [len(agent.assignments) for agent in pool.agents] == [1] * 6
    assert [len(agent.grants) for agent in pool.agents] == [1] * 6
    bodies = await pool.recorded(6)
    assert len({reply.session for reply in replies}) == 6
    assert {reply.session for reply in replies} == {
        f"lab/{body['metadata']['name']}" for body in bodies
    }
    pods = {body["metadata"]["annotations"]["podstream.dev/assignment"] for body in bodies}
    assert {text.split("/")[2] for text in pods} == {pod.uid for pod in pool.pods}
    assert claims(router, "won") == 6
    assert metric(router.router, "recordings_total", result="created") == 6


async def test_session_of_a_connection_says_where_it_came_from(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1, deadline_s=90)
    reply = await pool.connect(http)
    (body,) = await pool.recorded(1)

    (agent,) = pool.agents
    (assignment,) = agent.assignments
    pod = pool.pods[0]
    name = body["metadata"]["name"]
    arrived = body["metadata"]["annotations"].pop("podstream.dev/arrived-at")
    assert arrived.endswith("Z")
    assert len(arrived) == len("2026-01-01T00:00:00.000000Z")
    assert body == {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {
            "name": name,
            "namespace": "lab",
            "labels": {"podstream.dev/pool": "media"},
            "annotations": {
                "podstream.dev/assignment": f"{assignment.assignment_id}/{pod.name}/{pod.uid}",
                "podstream.dev/origin": "Warm",
            },
        },
        "spec": {
            "circle": {"frames": 3},
            "access": {"mode": "Public"},
            "futureMember": {"x": 1},
            "poolRef": {"name": "media"},
        },
    }
    assert name.startswith("media-")
    assert len(name) == len("media-") + 8
    assert assignment.session.name == name
    assert assignment.session.uid == assignment.assignment_id
    assert reply.session == f"lab/{name}"
    (connection,) = agent.connections
    assert reply.headers["Location"] == f"/s/lab/{name}/whep/{connection}"
    claims_of_token = jwt.decode(reply.token, options={"verify_signature": False})
    assert claims_of_token["sub"] == assignment.assignment_id
    assert claims_of_token["exp"] - claims_of_token["iat"] == 90
    (grant,) = agent.grants
    assert grant.session_uid == assignment.assignment_id
    assert grant.client_address == "127.0.0.1"


async def test_drained_pool_lets_wait_and_serves_in_the_order_of_arrival(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    first = await pool.connect(http)
    assert first.status == 201

    waiting = []
    for count in (1, 2):
        waiting.append(asyncio.create_task(pool.connect(http)))
        await until(lambda count=count: metric(router.router, "pool_waiting") == count)
    await pool.start_pod()
    early, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert early == {waiting[0]}
    await pool.start_pod()
    replies = await asyncio.gather(*waiting)

    assert [reply.status for reply in replies] == [201, 201]
    bodies = await pool.recorded(3)
    origins = [body["metadata"]["annotations"]["podstream.dev/origin"] for body in bodies]
    assert origins == ["Warm", "Cold", "Cold"]
    assert [len(agent.grants) for agent in pool.agents] == [1, 1, 1]
    assert metric(router.router, "pool_waiting") == 0


async def test_pool_at_its_maximum_is_busy_at_once_and_serves_after_a_release(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=3, max=3)
    replies = await pool.connect_many(http, 6)
    assert sorted(reply.status for reply in replies) == [201, 201, 201, 503, 503, 503]
    for reply in replies:
        if reply.status == 503:
            assert reply.headers["Retry-After"] == "1"
            assert '"Busy"' in reply.body
    assert claims(router, "busy") == 3
    bodies = await pool.recorded(3)

    session = pool.adopt(bodies[0])
    assert (await pool.connect(http)).status == 503
    pool.ended(session)
    served = asyncio.create_task(pool.connect(http))
    await until(lambda: metric(router.router, "pool_waiting") == 1)
    await pool.start_pod()
    assert (await served).status == 201


async def test_pod_that_ends_makes_room_for_the_first_that_waits(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1, max=2)
    assert (await pool.connect(http)).status == 201
    waiting = asyncio.create_task(pool.connect(http))
    await until(lambda: metric(router.router, "pool_waiting") == 1)
    assert (await pool.connect(http)).status == 503
    pool.lose(pool.agents[0])
    second = asyncio.create_task(pool.connect(http))
    await until(lambda: metric(router.router, "pool_waiting") == 2)
    for _ in range(2):
        await pool.start_pod()
    assert [(await task).status for task in (waiting, second)] == [201, 201]


async def test_pool_that_is_deleted_refuses_who_waits(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router)
    waiting = [asyncio.create_task(pool.connect(http)) for _ in range(2)]
    await until(lambda: metric(router.router, "pool_waiting") == 2)
    router.router.routes.remove_pool(pool.route.key)
    for reply in await asyncio.gather(*waiting):
        assert reply.status == 404
        assert '"UnknownPool"' in reply.body
    assert metric(router.router, "pool_waiting") == 0
    assert not router.router._claims._queues


async def test_pool_that_is_being_deleted_takes_nobody(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1, ended="the pool is being deleted")
    reply = await pool.connect(http)
    assert reply.status == 404
    assert "deleted" in reply.body
    assert not pool.agents[0].assignments


async def test_unknown_pool_is_not_found(router: Harness, http: aiohttp.ClientSession) -> None:
    for path in ("/p/lab/none/whep", "/p/lab/NoName/whep"):
        async with http.post(router.url(path), data=OFFER, headers=SDP) as response:
            assert response.status == 404
            assert (await response.json())["error"] == "UnknownPool"


async def test_hold_is_bounded(http: aiohttp.ClientSession) -> None:
    async with running_router(hold_timeout_s=0.1) as router:
        pool = await Pool.create(router)
        reply = await pool.connect(http)
        assert reply.status == 503
        assert '"NotReady"' in reply.body
        assert metric(router.router, "pool_waiting") == 0


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param("", id="empty"),
        pytest.param("GET / HTTP/1.1", id="http"),
        pytest.param("v=0\r\n" * 10, id="no-media"),
        pytest.param("x" * 100_000, id="endless"),
    ],
)
async def test_junk_takes_no_pod_and_makes_no_session(
    router: Harness, http: aiohttp.ClientSession, offer: str
) -> None:
    pool = await Pool.create(router, warm=1)
    for _ in range(20):
        assert (await pool.connect(http, offer=offer)).status in (400, 413)
    assert not pool.agents[0].assignments
    assert not router.api.sessions


async def test_client_that_leaves_while_it_waits_is_no_demand_any_more(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router)
    leaving = asyncio.create_task(pool.connect(http))
    await until(lambda: metric(router.router, "pool_waiting") == 1)
    leaving.cancel()
    await asyncio.wait({leaving})
    await until(lambda: metric(router.router, "pool_waiting") == 0)
    assert not router.router._claims._queues


async def test_source_has_so_many_sessions_and_no_more(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=5, max_per_source=2)
    replies = await pool.connect_many(http, 4)
    assert sorted(reply.status for reply in replies) == [201, 201, 503, 503]
    assert all("maxPerSource" in reply.body for reply in replies if reply.status == 503)
    bodies = await pool.recorded(2)
    sessions = [pool.adopt(body) for body in bodies]
    assert (await pool.connect(http)).status == 503, "the watch's sessions count as well"
    pool.ended(sessions[0])
    assert (await pool.connect(http)).status == 201


async def test_namespace_has_so_many_sessions_and_no_more(http: aiohttp.ClientSession) -> None:
    async with running_router(limits=Limits(sessions_per_namespace=2)) as router:
        await router.add("by-hand")
        pool = await Pool.create(router, warm=3)
        replies = await pool.connect_many(http, 2)
        assert sorted(reply.status for reply in replies) == [201, 503]
        (busy,) = [reply for reply in replies if reply.status == 503]
        assert "namespace lab" in busy.body


async def test_other_pages_may_read_what_a_pool_answers(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    async with http.options(pool.url()) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    reply = await pool.connect(http)
    assert "Podstream-Token" in reply.headers["Access-Control-Expose-Headers"]
