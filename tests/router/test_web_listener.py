"""HTTP ports of tracking sessions: roles by path, refusals, TLS, and what stays untouched."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType

from podstream_core.agentapi import Protocol
from podstream_router.tls import Certificate
from podstream_router.web import listener as web_listener
from router.certificates import MountedSecret, self_signed
from router.harness import Harness, metric, until
from router.pools import Pool
from router.web_pods import PUBLIC, site, web_router


def url(router: Harness, path: str, *, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{router.router.ports['tracking']}{path}"


def result(router: Harness, name: str) -> float:
    return metric(router.router, "connections_total", protocol="HTTP", result=name)


async def raw(router: Harness, data: bytes) -> bytes:
    """What the port answers to these bytes, to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.router.ports["tracking"])
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_paths_take_their_roles_at_the_root(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        _, agent, _ = await router.add(**PUBLIC)
        async with site(agent):
            async with (
                http.ws_connect(url(router, "/client")) as client,
                http.ws_connect(url(router, "/processor")) as camera,
                http.get(url(router, "/timelines?objectId=4")) as timelines,
            ):
                await client.send_str('{"frameId":5.0}')
                assert (await client.receive_str()) == '{"frameId":5.0}'
                await camera.send_bytes(b"x" * 300_000)
                assert (await camera.receive_bytes()) == b"x" * 300_000
                assert await timelines.text() == "/timelines?objectId=4"
            grants = [(grant.protocol, grant.workload, grant.role) for grant in agent.grants]
            tracking = (Protocol.HTTP, "tracking")
            assert grants == [(*tracking, role) for role in ("client", "camera", "caller")]
            assert len({grant.holder for grant in agent.grants}) == 3


async def test_keep_alive_goes_on_in_the_same_pod_and_slot(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        _, agent, _ = await router.add(**PUBLIC)
        async with site(agent):
            for path in ("/timelines", "/socket.io/?EIO=4&transport=polling"):
                async with http.get(url(router, path)) as answer:
                    assert await answer.text() == path
            assert [grant.role for grant in agent.grants] == ["caller"]


async def test_closing_code_of_the_pod_reaches_the_client(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        _, agent, _ = await router.add(**PUBLIC)
        async with site(agent), http.ws_connect(url(router, "/client")) as client:
            await client.send_str("bye")
            assert (await client.receive()).type is WSMsgType.CLOSE
            assert client.close_code == 4003
        await until(lambda: result(router, "Bound") == 1)


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        (b"GET /client\r\n\r\n", b"400 Bad Request", b"BadRequest"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 17_000, b"431 ", b"HeadTooLarge"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505 ", b"UnsupportedVersion"),
    ],
)
async def test_bad_heads_get_an_answer_and_take_no_pod(
    data: bytes, status: bytes, error: bytes
) -> None:
    async with web_router() as router:
        pool = await Pool.create(router, **PUBLIC)
        agent = await pool.start_pod()
        answer = await raw(router, data)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b'{"error":"' + error + b'"' in answer
        await until(lambda: result(router, error.decode()) == 1)
        assert not agent.assignments


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b'{"type": "offer"}\n'])
async def test_what_is_no_http_is_closed(data: bytes) -> None:
    async with web_router() as router:
        await router.add(**PUBLIC)
        assert await raw(router, data) == b""
        await until(lambda: result(router, "Broken") == 1)


async def test_slow_head_is_answered_and_silence_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_listener, "HEAD_TIMEOUT_S", 0.2)
    async with web_router() as router:
        await router.add(**PUBLIC)
        answer = await raw(router, b"GET /client HTTP/1.1\r\nHost:")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert await raw(router, b"") == b""


async def test_refusals_of_the_pod_are_http_answers(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        _, agent, _ = await router.add(**PUBLIC)
        async with site(agent, slots=1), http.ws_connect(url(router, "/client")):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(url(router, "/client"))
            assert refused.value.status == 503
            assert refused.value.headers is not None
            assert int(refused.value.headers["Retry-After"]) > 0
        await until(lambda: not agent.connections)
        agent.refusals.append((422, "UnknownRole"))
        async with http.get(url(router, "/health")) as answer:
            assert (answer.status, (await answer.json())["error"]) == (404, "UnknownRole")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_other_workloads_and_head_requests_are_answered(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        await router.add(public=True, listeners=("tracking",), workloads=("circle",))
        async with http.get(url(router, "/client")) as answer:
            assert (answer.status, (await answer.json())["error"]) == (404, "UnknownSession")
        async with http.head(url(router, "/client")) as answer:
            assert (answer.status, await answer.read()) == (404, b"")


async def test_router_holds_the_connection_until_the_pod_is_ready(
    http: aiohttp.ClientSession,
) -> None:
    async with web_router() as router:
        _, agent, _ = await router.add(**PUBLIC)
        agent.refusals.extend([(425, "NotReady")] * 2)
        async with site(agent), http.get(url(router, "/timelines")) as answer:
            assert answer.status == 200


async def test_shutdown_refuses_who_is_held(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        held = asyncio.create_task(http.get(url(router, "/client")))
        await until(lambda: len(router.router._placement._held) == 1)
        router.stop.set()
        answer = await held
        assert (answer.status, (await answer.json())["error"]) == (503, "ShuttingDown")


async def test_first_http_listener_keeps_its_own_root(http: aiohttp.ClientSession) -> None:
    async with web_router() as router:
        await router.add(**PUBLIC)
        async with http.get(router.url("/")) as answer:
            assert "podstream router" in await answer.text()


async def test_tls_with_and_without_alpn_beside_cleartext(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    trusted, key = self_signed()
    secret = MountedSecret(tmp_path)
    secret.write(trusted, key)
    async with web_router(certificate=Certificate(secret.folder)) as router:
        _, agent, _ = await router.add(**PUBLIC)
        async with site(agent):
            for protocols in ([], ["http/1.1"], ["h2", "http/1.1"]):
                context = ssl.create_default_context(cadata=trusted.decode())
                if protocols:
                    context.set_alpn_protocols(protocols)
                address = url(router, "/client", scheme="https")
                async with http.ws_connect(address, ssl=context) as client:
                    await client.send_str("x" * 500_000)
                    assert await client.receive_str() == "x" * 500_000
            async with http.get(url(router, "/timelines")) as answer:
                assert answer.status == 200
