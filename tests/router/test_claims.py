import asyncio
from dataclasses import replace

import aiohttp
import pytest

from podstream_core.tokens import PublicKeys, SigningKey
from podstream_router.claims import assigner, queues
from router.harness import PORTS, Harness, metric, running_router, until
from router.pools import Pool


def claims(router: Harness, result: str) -> float:
    return metric(router.router, "claims_total", result=result)


async def test_lost_race_means_the_next_pod_at_once(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=3)
    for agent in pool.agents[:2]:
        agent.session_uid = "somebody was first"
    reply = await pool.connect(http)
    assert reply.status == 201
    assert len(pool.agents[2].grants) == 1
    assert not any(agent.grants for agent in pool.agents[:2])
    assert claims(router, "won") == 1
    assert claims(router, "lost") == 2


async def test_pod_that_does_not_answer_means_the_next_pod_at_once(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=4)
    silent, odd, other_keys, _ = pool.agents
    await silent.stop()
    odd.assign_refusals.append((500, "Oops"))
    other_keys.keys = PublicKeys.of(SigningKey.generate())
    reply = await pool.connect(http)
    assert reply.status == 201
    assert [len(agent.grants) for agent in pool.agents] == [0, 0, 0, 1]
    assert claims(router, "unreachable") == 3


async def test_pod_that_did_not_answer_is_tried_again_later(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigner, "UNREACHABLE_S", 0.05)
    monkeypatch.setattr(queues, "TICK_S", 0.02)
    pool = await Pool.create(router, warm=1)
    pool.agents[0].assign_refusals.extend([(500, "Oops")] * 3)
    reply = await pool.connect(http)
    assert reply.status == 201
    assert claims(router, "unreachable") == 3


async def test_lost_answer_of_an_assignment_costs_no_pod(
    router: Harness, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigner, "UNREACHABLE_S", 0.05)
    monkeypatch.setattr(queues, "TICK_S", 0.02)
    pool = await Pool.create(router, warm=1)
    (agent,) = pool.agents
    agent.answers_to_lose = 1
    reply = await pool.connect(http)
    assert reply.status == 201
    assert len(agent.assignments) == 1
    (body,) = await pool.recorded(1)
    assert agent.assignments[0].session.name == body["metadata"]["name"]


async def test_pod_is_assigned_as_soon_as_its_agent_answers_ready_or_not(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1, max=1)
    (agent,) = pool.agents
    pod = replace(pool.pods[0], ready=False)
    await agent.stop()
    pool.show(pod)
    waiting = asyncio.create_task(pool.connect(http))
    await until(lambda: metric(router.router, "pool_waiting") == 1)
    await agent.start(control=PORTS.control, connect=PORTS.connect, stream=PORTS.stream)
    assert (await waiting).status == 201
    (body,) = await pool.recorded(1)
    assert body["metadata"]["annotations"]["podstream.dev/origin"] == "Cold"
    assert claims(router, "unreachable") == 0


async def test_two_routers_never_share_a_pod(http: aiohttp.ClientSession) -> None:
    async with running_router(router_name="a") as one, running_router(router_name="b") as two:
        two.signing = one.signing
        two.router._agent._transport.signers = (one.signing,)
        pool = await Pool.create(one, warm=10)
        other = Pool(two, pool.route, pool.agents, pool.pods)
        two.router.routes.upsert_pool(pool.route)
        for pod in pool.pods:
            other.show(pod)

        replies = await asyncio.gather(pool.connect_many(http, 5), other.connect_many(http, 5))

        statuses = [reply.status for part in replies for reply in part]
        assert statuses == [201] * 10
        assert [len(agent.assignments) for agent in pool.agents] == [1] * 10
        assert [len(agent.grants) for agent in pool.agents] == [1] * 10
        sessions = {reply.session for part in replies for reply in part}
        assert len(sessions) == 10


async def test_refused_offer_ends_the_pod_and_makes_no_session(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    (agent,) = pool.agents
    agent.refusals.append((422, "UnsupportedOffer"))
    reply = await pool.connect(http)
    assert (reply.status, '"UnsupportedOffer"' in reply.body) == (422, True)
    await until(lambda: agent.drains)
    assert not router.api.attempts
    assert router.router.routes.living_sessions("lab") == 0


async def test_client_that_leaves_while_its_pod_is_assigned_leaves_no_pod_behind(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    (agent,) = pool.agents
    agent.assign_delay_s = 0.1
    leaving = asyncio.create_task(pool.connect(http))
    await until(lambda: metric(router.router, "pool_waiting") == 0 and not agent.assignments)
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.wait({leaving})
    await until(lambda: agent.drains)
    assert agent.drains[0]["reason"] == "Abandoned"
    assert not router.api.attempts


async def test_pod_that_ends_under_its_connection_means_the_next_pod(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=2)
    for agent in pool.agents:
        agent.refusals.append((410, "SessionEnded"))
    await pool.start_pod()
    reply = await pool.connect(http)
    assert reply.status == 201
    assert len(await pool.recorded(1)) == 1


async def test_pool_whose_pods_all_crash_is_not_emptied_by_one_connection(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=5)
    for agent in pool.agents:
        agent.refusals.append((410, "SessionEnded"))
    reply = await pool.connect(http)
    assert (reply.status, '"PodFailed"' in reply.body) == (502, True)
    assert sum(len(agent.assignments) for agent in pool.agents) == 3


async def test_template_that_pods_refuse_is_told_and_costs_no_pod(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    (agent,) = pool.agents
    agent.assign_refusals.append((422, "SpecRejected"))
    reply = await pool.connect(http)
    assert (reply.status, "SpecRejected" in reply.body) == (502, True)
    assert (await pool.connect(http)).status == 201
