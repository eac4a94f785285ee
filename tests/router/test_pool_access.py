import asyncio
from typing import Any

import aiohttp
import pytest

from podstream_core.assignment import AssignedPod
from podstream_core.tokens import CLIENT_AUDIENCE, TokenType
from router.harness import Harness, session_route, until
from router.pools import OFFER, SDP, Pool, Reply

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "a=mid:0\r\na=candidate:1 1 udp 1 203.0.113.9 1 typ host\r\n"


def pool_token(pool: Pool, **changes: Any) -> str:
    """What the operator puts into the pool's Secret."""
    claims: dict[str, Any] = {"audience": CLIENT_AUDIENCE, "subject": pool.route.uid, **changes}
    return pool.router.client_key.sign(TokenType.CLIENT, **claims)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_pool_with_a_token_admits_its_holders_only(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=2, public=False)
    nobody = await pool.connect(http)
    assert nobody.status == 401
    assert "media-pool-access" in nobody.body
    stranger = await pool.connect(http, token=pool_token(pool, subject="another pool"))
    assert (stranger.status, '"WrongSession"' in stranger.body) == (403, True)
    assert not any(agent.assignments for agent in pool.agents)

    token = pool_token(pool)
    replies = [await pool.connect(http, token=token) for _ in range(2)]
    assert [reply.status for reply in replies] == [201, 201]
    assert len({reply.session for reply in replies}) == 2
    assert [len(agent.grants) for agent in pool.agents] == [1, 1]


@pytest.mark.parametrize("public", [True, False], ids=["public", "token"])
@pytest.mark.parametrize("adopted", [False, True], ids=["provisional", "adopted"])
@pytest.mark.parametrize("path", ["pool", "session"])
async def test_session_token_leads_back_to_its_session_and_its_slot(
    router: Harness, http: aiohttp.ClientSession, public: bool, adopted: bool, path: str
) -> None:
    pool = await Pool.create(router, warm=2, public=public)
    first = await pool.connect(http, token="" if public else pool_token(pool))
    (body,) = await pool.recorded(1)
    if adopted:
        pool.adopt(body)

    if path == "pool":
        second = await pool.connect(http, token=first.token)
        assert second.session == first.session
        assert "Podstream-Token" not in second.headers
    else:
        url = router.url(f"/s/{first.session}/whep")
        headers = {**SDP, **bearer(first.token)}
        async with http.post(url, data=OFFER, headers=headers) as response:
            second = Reply(response.status, dict(response.headers), await response.text())
            assert second.session == first.session

    assert second.status == 201
    used, unused = pool.agents
    assert len({grant.holder for grant in used.grants}) == 1, "the gate knows the client again"
    assert len(used.grants) == 2
    assert len({grant.session_uid for grant in used.grants}) == 1
    assert not unused.assignments
    assert len(router.api.sessions) == 1


async def test_operators_token_of_a_connections_session_opens_it_too(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1, public=False)
    first = await pool.connect(http, token=pool_token(pool))
    (body,) = await pool.recorded(1)
    session = pool.adopt(body)
    busy = await pool.connect(http, token=router.token(session))
    assert busy.status == 503, "another token is another client"
    pool.agents[0].connections.clear()
    second = await pool.connect(http, token=router.token(session))
    assert second.session == first.session


async def test_session_that_another_replica_has_made_is_waited_for(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=2)
    agent, unused = pool.agents
    agent.session_uid = "made elsewhere"
    token = pool_token(pool, subject="made elsewhere")
    coming_back = asyncio.create_task(pool.connect(http, token=token))
    await asyncio.sleep(0.05)
    assert not coming_back.done()
    pod = pool.pods[0]
    assigned = AssignedPod("made elsewhere", pod.name, pod.uid)
    router.router.routes.upsert_session(
        session_route("media-1a2b3c4d", public=True, pool="media", assigned=assigned)
    )
    reply = await coming_back
    assert reply.session == "lab/media-1a2b3c4d"
    assert len(agent.grants) == 1
    assert not unused.assignments


async def test_client_without_the_token_does_not_get_another_ones_place(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    first = await pool.connect(http)
    async with http.post(
        router.url(f"/s/{first.session}/whep"), data=OFFER, headers=SDP
    ) as response:
        assert response.status == 503
        assert (await response.json())["error"] == "Busy"


async def test_token_of_a_session_that_is_over_says_so(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=2)
    first = await pool.connect(http)
    (body,) = await pool.recorded(1)
    session = pool.adopt(body)
    ended = pool.ended(session)
    reply = await pool.connect(http, token=first.token)
    assert (reply.status, '"SessionEnded"' in reply.body) == (410, True)
    router.router.routes.remove_session(ended.key)
    pool.lose(pool.agents[0])
    reply = await pool.connect(http, token=first.token)
    assert (reply.status, '"WrongSession"' in reply.body) == (403, True)
    assert not pool.agents[1].assignments


async def test_token_of_another_pools_session_is_refused(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1)
    other = await Pool.create(router, warm=1, name="other")
    first = await other.connect(http)
    reply = await pool.connect(http, token=first.token)
    assert reply.status == 403
    assert not pool.agents[0].assignments


@pytest.mark.parametrize("whose", ["session", "pool"])
async def test_connection_is_trickled_to_and_ended_with_either_token(
    router: Harness, http: aiohttp.ClientSession, whose: str
) -> None:
    pool = await Pool.create(router, warm=1, public=False)
    reply = await pool.connect(http, token=pool_token(pool))
    headers = bearer(reply.token if whose == "session" else pool_token(pool))
    url = router.url(reply.headers["Location"])
    async with http.patch(url, data=CANDIDATE, headers={**FRAGMENT, **headers}) as response:
        assert response.status == 204
    async with http.delete(url, headers=headers) as response:
        assert response.status == 200
    (agent,) = pool.agents
    await until(lambda: not agent.connections)


async def test_pools_token_opens_nobodys_results_and_nobodys_place(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    pool = await Pool.create(router, warm=1, public=False)
    reply = await pool.connect(http, token=pool_token(pool))
    results = router.url(f"/s/{reply.session}/results")
    async with http.get(results, headers=bearer(pool_token(pool))) as response:
        assert response.status == 403
    async with http.get(results, headers=bearer(reply.token)) as response:
        assert response.status == 200
        assert (await response.json())["source"] == "pod"
    url = router.url(f"/s/{reply.session}/whep")
    headers = {**SDP, **bearer(pool_token(pool))}
    async with http.post(url, data=OFFER, headers=headers) as response:
        assert response.status == 403
