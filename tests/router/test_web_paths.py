"""Tracking sessions below /s/<namespace>/<session>/: tokens, WebSockets, requests, bounds."""

import asyncio
import io

import aiohttp
import pytest
from aiohttp import WSMsgType

from router.harness import Harness, running_router, until
from router.web_pods import site

BASE = "/s/lab/site"


async def test_websocket_with_the_token_in_header_or_query(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add("site", workloads=("tracking",))
    async with site(agent) as pod:
        header = http.ws_connect(router.url(f"{BASE}/client"), headers=router.bearer(session))
        query = router.url(f"{BASE}/processor?token={router.token(session)}&x=%2F1")
        async with header as client, http.ws_connect(query) as camera:
            for socket in (client, camera):
                await socket.send_str('{"frameId":5.0}')
                assert await socket.receive_str() == '{"frameId":5.0}'
                await socket.send_bytes(bytes(400_000))
                assert await socket.receive_bytes() == bytes(400_000)
                await socket.ping(b"?")
        assert [grant.role for grant in agent.grants] == ["client", "camera"]
        assert [str(request.rel_url) for request in pod.requests] == ["/client", "/processor?x=/1"]
        assert all("Authorization" not in request.headers for request in pod.requests)
    await until(lambda: not agent.connections)


async def test_requests_pass_with_query_and_body(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add("site", workloads=("tracking",))
    async with site(agent):
        headers = router.bearer(session)
        async with http.get(router.url(f"{BASE}/timelines?objectId=4"), headers=headers) as answer:
            assert (answer.status, await answer.text()) == (200, "/timelines?objectId=4")
        form = aiohttp.FormData({"device_id": "1"})
        picture = io.BytesIO(b"x" * 3_000_000)
        form.add_field("img", picture, filename="frame.jpg", content_type="image/jpeg")
        async with http.post(
            router.url(f"{BASE}/detect_intruder"), data=form, headers=headers
        ) as answer:
            assert (await answer.json())["bytes"] > 3_000_000
        async with http.get(router.url(f"{BASE}/objectIds"), headers=headers) as answer:
            assert answer.status == 404  # as the pod says
        assert {grant.role for grant in agent.grants} == {"caller"}
    await until(lambda: not agent.connections)


@pytest.mark.parametrize("path", ["/client", "/timelines", "/socket.io/"])
async def test_no_token_no_session(router: Harness, http: aiohttp.ClientSession, path: str) -> None:
    _, agent, _ = await router.add("site", workloads=("tracking",))
    other, _, _ = await router.add("other", workloads=("tracking",))
    await router.add("ball", public=True, workloads=("circle",))
    async with site(agent):
        for base, token, status in (
            (BASE, "", 401),
            (BASE, "?token=nonsense", 401),
            (BASE, f"?token={router.token(other)}", 403),
            ("/s/lab/none", "", 404),
            ("/s/lab/ball", "", 404),
        ):
            async with http.get(router.url(f"{base}{path}{token}")) as answer:
                assert answer.status == status, (base, token)
    assert not agent.grants


async def test_closing_codes_pass_both_ways(router: Harness, http: aiohttp.ClientSession) -> None:
    _, agent, _ = await router.add("site", public=True, workloads=("tracking",))
    async with site(agent) as pod:
        async with http.ws_connect(router.url(f"{BASE}/client")) as client:
            await client.send_str("bye")
            message = await client.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 4003)
        async with http.ws_connect(router.url(f"{BASE}/client")) as client:
            await client.close(code=4009)
        await until(lambda: len(pod.sockets) == 2 and pod.sockets[1].closed)
        assert pod.sockets[1].close_code == 4009
        async with http.ws_connect(router.url(f"{BASE}/client")) as client:
            await client.send_bytes(bytes(2 << 20))  # more than this pod takes
            assert (await client.receive()).data == 1009


async def test_full_session_refuses_before_the_upgrade(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    _, agent, _ = await router.add("site", public=True, workloads=("tracking",))
    async with site(agent, slots=1), http.ws_connect(router.url(f"{BASE}/client")):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(router.url(f"{BASE}/client"))
        assert refused.value.status == 503


async def test_client_that_does_not_read_holds_the_pod_back(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    _, agent, _ = await router.add("site", public=True, workloads=("tracking",))
    async with site(agent) as pod:
        sent = 0
        async with http.ws_connect(router.url(f"{BASE}/client")) as client:

            async def send_without_reading() -> None:
                nonlocal sent
                while True:
                    await client.send_bytes(bytes(1 << 19))
                    sent += 1 << 19

            # The pod echoes, so this is held back once every buffer on the way is full.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(send_without_reading(), 1)
            connection = client._response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.abort()  # with what it still has to say
        assert sent < 200 << 20
        await until(lambda: not agent.connections)
        assert pod.sockets


async def test_router_that_goes_says_so(http: aiohttp.ClientSession) -> None:
    async with running_router() as router:
        _, agent, _ = await router.add("site", public=True, workloads=("tracking",))
        async with site(agent), http.ws_connect(router.url(f"{BASE}/client")) as client:
            await client.send_str("x")
            await client.receive_str()
            router.stop.set()
            message = await asyncio.wait_for(client.receive(), 10)
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
