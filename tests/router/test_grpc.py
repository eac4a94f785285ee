"""gRPC through the router: a real client, a real server behind each pod's stream port."""

import asyncio
import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from fakes.fake_agent import FakeAgent
from podstream_core.agentapi import Protocol
from podstream_router.grpc import listener as grpc_listener
from podstream_router.routes import PoolRoute
from podstream_router.settings import Limits, Listener
from router.harness import (
    PORTS,
    Harness,
    idle_pod,
    metric,
    pool_route,
    running_router,
    session_route,
    until,
)

PUBLIC: dict[str, Any] = {"public": True, "listeners": ("grpc",), "workloads": ("imageOps",)}
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
BIG = [*OPTIONS, ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Echo(grpc.GenericRpcHandler):
    """Says who it is and gives back what it gets."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        handlers: dict[str, Any] = {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "/test.Echo/Stream": grpc.stream_stream_rpc_method_handler(self._stream),
            "/test.Echo/Hang": grpc.unary_unary_rpc_method_handler(self._hang),
        }
        return handlers.get(details.method)

    async def _unary(self, request: bytes, _context: Any) -> bytes:
        return self.name + b":" + request

    async def _stream(self, requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield self.name + b":" + request

    async def _hang(self, _request: bytes, _context: Any) -> bytes:
        await asyncio.sleep(30)
        return b""


class Workload:
    """Passes a pod's raw connections to a gRPC server of its own."""

    def __init__(self, agent: FakeAgent, name: str) -> None:
        self.server = grpc.aio.server(options=BIG)
        self.server.add_generic_rpc_handlers((Echo(name),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        agent.on_stream = self._pass

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ways = (_copy(reader, inner_writer), _copy(inner_reader, writer))
        await asyncio.gather(*ways, return_exceptions=True)
        inner_writer.close()
        await asyncio.gather(inner_writer.wait_closed(), return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):  # the other side may have gone altogether
        writer.write_eof()


@asynccontextmanager
async def grpc_router(**changes: Any) -> AsyncIterator[Harness]:
    listeners = (
        Listener(name="http", port=0, protocol="http"),
        Listener(name="signalling", port=0, protocol="signalling"),
        Listener(name="grpc", port=0, protocol="grpc"),
    )
    async with running_router(listeners=listeners, **changes) as router:
        yield router


@asynccontextmanager
async def workload(agent: FakeAgent, name: str) -> AsyncIterator[Workload]:
    made = Workload(agent, name)
    await made.server.start()
    try:
        yield made
    finally:
        await made.server.stop(0)


def channel(router: Harness, *, options: list[tuple[str, Any]] = OPTIONS) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{router.router.ports['grpc']}", options=options)


async def serve(router: Harness, name: str = "ball", **changes: Any) -> FakeAgent:
    """A session with its pod."""
    _, agent, _ = await router.add(name, **changes)
    return agent


async def serve_idle(router: Harness, pool: PoolRoute) -> FakeAgent:
    """A warm pod."""
    pod = idle_pod(pool)
    agent = FakeAgent(pod.ip, pod.uid, "", router.keys)
    await agent.start(control=PORTS.control, connect=PORTS.connect, stream=PORTS.stream)
    router.agents.append(agent)
    router.router.routes.upsert_pool(pool)
    router.router.routes.upsert_pod(pod)
    return agent


async def call(client: grpc.aio.Channel, data: bytes = b"x", **metadata: str) -> bytes:
    named = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
    method: Any = client.unary_unary("/test.Echo/Unary")
    answer: bytes = await method(data, metadata=named, timeout=10)
    return answer


async def refusal(client: grpc.aio.Channel, **metadata: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(client, b"x", **metadata)
    return caught.value.code(), caught.value.details() or ""


async def test_unary_large_and_streaming_calls_reach_the_pod_of_the_port() -> None:
    async with grpc_router() as router:
        agent = await serve(router, **PUBLIC)
        async with workload(agent, "one"), channel(router, options=BIG) as client:
            assert await call(client) == b"one:x"
            large = os.urandom(3 << 20)
            assert await call(client, large) == b"one:" + large
            stream: Any = client.stream_stream("/test.Echo/Stream")()
            for number in range(20):
                await stream.write(b"%d" % number)
                assert await stream.read() == b"one:%d" % number
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF
        assert [grant.protocol for grant in agent.grants] == [Protocol.GRPC]
        assert agent.grants[0].role == "caller"
        await until(lambda: not agent.connections)


async def test_metadata_and_authority_name_the_session() -> None:
    async with grpc_router() as router, contextlib.AsyncExitStack() as stack:
        for name in ("ball", "other"):
            agent = await serve(router, name, public=True, workloads=("imageOps",))
            await stack.enter_async_context(workload(agent, name))
        async with channel(router) as client:
            assert await call(client, podstream_session="lab/other") == b"other:x"
        authority = [*OPTIONS, ("grpc.default_authority", "ball.lab.example.org")]
        async with channel(router, options=authority) as client:
            assert await call(client) == b"ball:x"


async def test_a_token_opens_its_session_and_no_other() -> None:
    async with grpc_router() as router:
        session, agent, _ = await router.add(workloads=("imageOps",))
        async with workload(agent, "mine"):
            async with channel(router) as client:
                code, text = await refusal(client, podstream_session="lab/ball")
                assert code is grpc.StatusCode.UNAUTHENTICATED
                assert "kubectl get secret" in text
            async with channel(router) as client:
                token = f"Bearer {router.token(session)}"
                answer = await call(client, podstream_session="lab/ball", authorization=token)
                assert answer == b"mine:x"
            async with channel(router) as client:
                other = f"Bearer {router.token(session_route('other'))}"
                code, _ = await refusal(client, podstream_session="lab/ball", authorization=other)
                assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_refusals_have_the_status_that_says_the_same() -> None:
    async with grpc_router(hold_timeout_s=0.2) as router:
        async with channel(router) as client:
            code, text = await refusal(client, podstream_session="lab/nobody")
            assert (code, "there is no session" in text) == (grpc.StatusCode.NOT_FOUND, True)
        async with channel(router) as client:
            code, _ = await refusal(client, podstream_session="no slash")
            assert code is grpc.StatusCode.INVALID_ARGUMENT
        async with channel(router) as client:
            code, _ = await refusal(client)
            assert code is grpc.StatusCode.UNAVAILABLE
        agent = await serve(router, **PUBLIC)
        agent.refusals = deque([(409, "Busy")])
        async with channel(router) as client:
            code, _ = await refusal(client)
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await until(
            lambda: metric(router.router, "connections_total", protocol="gRPC", result="Busy") == 1
        )


async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    """By the synchronous library: grpc.aio reports the message that it could not send instead."""
    is_over = threading.Event()

    def chunks() -> Iterator[bytes]:
        while not is_over.wait(0.001):
            yield bytes(1000)

    def stream(port: int) -> grpc.StatusCode:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as client:
            method: Any = client.stream_stream("/test.Echo/Stream")
            with pytest.raises(grpc.RpcError) as caught:
                list(method(chunks(), metadata=[("podstream-session", "lab/nobody")], timeout=10))
            error: Any = caught.value
            return error.code()  # type: ignore[no-any-return]

    async with grpc_router() as router:
        try:
            for _ in range(20):
                code = await asyncio.to_thread(stream, router.router.ports["grpc"])
                assert code is grpc.StatusCode.NOT_FOUND
        finally:
            is_over.set()


async def test_connections_to_a_pool_get_pods_of_their_own() -> None:
    async with grpc_router() as router:
        pool = pool_route(listeners=("grpc",), workloads=("imageOps",), max=2)
        agents = [await serve_idle(router, pool) for _ in range(2)]
        async with contextlib.AsyncExitStack() as stack:
            for number, agent in enumerate(agents):
                await stack.enter_async_context(workload(agent, f"pod-{number}"))
            clients = [await stack.enter_async_context(channel(router)) for _ in range(2)]
            answers = await asyncio.gather(*(call(client) for client in clients))
            assert sorted(answers) == [b"pod-0:x", b"pod-1:x"]
            async with channel(router) as third:
                code, _ = await refusal(third)
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await until(lambda: len(router.api.sessions) == 2)


async def test_a_pod_that_goes_ends_the_call_as_unavailable() -> None:
    async with grpc_router() as router:
        agent = await serve(router, **PUBLIC)
        async with workload(agent, "one"), channel(router) as client:
            assert await call(client) == b"one:x"
            method: Any = client.unary_unary("/test.Echo/Hang")
            hanging = method(b"", timeout=20)
            await asyncio.sleep(0)
            await agent.stop()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await hanging
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"", os.urandom(64)])
async def test_junk_takes_no_pod_and_is_closed(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_listener, "OPENING_TIMEOUT_S", 0.3)
    async with grpc_router() as router:
        pool = pool_route(listeners=("grpc",), workloads=("imageOps",))
        agent = await serve_idle(router, pool)
        reader, writer = await asyncio.open_connection("127.0.0.1", router.router.ports["grpc"])
        writer.write(data)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(100):
                    pass
        writer.close()
        assert agent.grants == []
        assert router.api.sessions == []


async def test_connections_of_one_source_are_bounded() -> None:
    async with grpc_router(limits=Limits(connections_per_source=2)) as router:
        port = router.router.ports["grpc"]
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        await until(lambda: metric(router.router, "open_connections", protocol="gRPC") == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        for sock in held:
            sock.close()
