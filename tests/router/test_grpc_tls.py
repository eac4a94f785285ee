"""gRPC over TLS: the same clients, pods and refusals as in cleartext, on the same port."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from podstream_core.agentapi import Protocol
from podstream_router.tls import Certificate
from router.certificates import MountedSecret, self_signed
from router.harness import Harness, metric, until
from router.test_grpc import BIG, OPTIONS, PUBLIC, call, channel, grpc_router, refusal, workload


@pytest.fixture
def secret(tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path)


@asynccontextmanager
async def tls_router(
    secret: MountedSecret, *, required: bool = False, **changes: Any
) -> AsyncIterator[tuple[Harness, bytes]]:
    """A router with a fresh certificate, and that certificate."""
    trusted, key = self_signed()
    secret.write(trusted, key)
    certificate = Certificate(secret.folder, required=required)
    async with grpc_router(certificate=certificate, **changes) as router:
        yield router, trusted


def secure(
    router: Harness, trusted: bytes, *, options: list[tuple[str, Any]] = OPTIONS
) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(root_certificates=trusted)
    address = f"localhost:{router.router.ports['grpc']}"
    return grpc.aio.secure_channel(address, credentials, options=options)


def count(router: Harness, result: str) -> float:
    return metric(router.router, "connections_total", protocol="gRPC", result=result)


async def test_unary_large_and_streaming_calls_over_tls(secret: MountedSecret) -> None:
    async with tls_router(secret) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        async with workload(agent, "one"), secure(router, trusted, options=BIG) as client:
            assert await call(client) == b"one:x"
            large = os.urandom(3 << 20)
            assert await call(client, large) == b"one:" + large
            stream: Any = client.stream_stream("/test.Echo/Stream")()
            for number in range(20):
                await stream.write(b"%d" % number)
                assert await stream.read() == b"one:%d" % number
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF
        await until(lambda: not agent.connections)
        assert [grant.protocol for grant in agent.grants] == [Protocol.GRPC]
        await until(lambda: count(router, "Bound") == 1)


async def test_one_port_takes_tls_and_cleartext(secret: MountedSecret) -> None:
    async with tls_router(secret) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        async with workload(agent, "one"):
            for make in (channel, lambda made: secure(made, trusted), channel):
                async with make(router) as client:
                    assert await call(client) == b"one:x"
                await until(lambda: not agent.connections)


async def test_sessions_are_named_and_tokens_checked_as_in_cleartext(
    secret: MountedSecret,
) -> None:
    async with tls_router(secret) as (router, trusted), contextlib.AsyncExitStack() as stack:
        session, agent, _ = await router.add("mine", workloads=("imageOps",))
        await stack.enter_async_context(workload(agent, "mine"))
        _, agent, _ = await router.add("ball", public=True, workloads=("imageOps",))
        await stack.enter_async_context(workload(agent, "ball"))
        authority = [*OPTIONS, ("grpc.default_authority", "ball.lab.example.org")]
        authority += [("grpc.ssl_target_name_override", "localhost")]
        async with secure(router, trusted, options=authority) as client:
            assert await call(client) == b"ball:x"
        async with secure(router, trusted) as client:
            code, text = await refusal(client, podstream_session="lab/mine")
            assert code is grpc.StatusCode.UNAUTHENTICATED
            assert "kubectl get secret" in text
        async with secure(router, trusted) as client:
            token = f"Bearer {router.token(session)}"
            answer = await call(client, podstream_session="lab/mine", authorization=token)
            assert answer == b"mine:x"
        async with secure(router, trusted) as client:
            code, _ = await refusal(client, podstream_session="lab/nobody")
            assert code is grpc.StatusCode.NOT_FOUND


async def test_a_new_certificate_is_shown_to_the_next_client(secret: MountedSecret) -> None:
    async with tls_router(secret) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        async with workload(agent, "one"):
            async with secure(router, trusted) as first:
                assert await call(first) == b"one:x"
                renewed, key = self_signed()
                secret.write(renewed, key)
                assert await call(first) == b"one:x", "an open connection goes on"
            await until(lambda: not agent.connections)
            async with secure(router, renewed) as second:
                assert await call(second) == b"one:x"
            async with secure(router, trusted) as stranger:
                code, _ = await refusal(stranger)
                assert code is grpc.StatusCode.UNAVAILABLE


async def test_cleartext_can_be_refused(secret: MountedSecret) -> None:
    async with tls_router(secret, required=True) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        async with workload(agent, "one"):
            async with channel(router) as client:
                code, _ = await refusal(client)
                assert code is grpc.StatusCode.UNAVAILABLE
            async with secure(router, trusted) as client:
                assert await call(client) == b"one:x"
        assert len(agent.grants) == 1


async def test_a_pod_that_goes_ends_the_call_as_unavailable(secret: MountedSecret) -> None:
    async with tls_router(secret) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        async with workload(agent, "one"), secure(router, trusted) as client:
            assert await call(client) == b"one:x"
            method: Any = client.unary_unary("/test.Echo/Hang")
            hanging = method(b"", timeout=20)
            await asyncio.sleep(0)
            await agent.stop()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await hanging
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_without_http2_takes_no_pod(secret: MountedSecret) -> None:
    async with tls_router(secret) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        context = ssl.create_default_context(cadata=trusted.decode())
        context.set_alpn_protocols(["http/1.1"])
        port = router.router.ports["grpc"]
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        await until(lambda: count(router, "Broken") == 1)
        assert agent.grants == []


async def test_draining_closes_connections_over_tls(secret: MountedSecret) -> None:
    async with tls_router(secret, drain_timeout_s=0.1) as (router, trusted):
        _, agent, _ = await router.add(**PUBLIC)
        async with workload(agent, "one"), secure(router, trusted) as client:
            assert await call(client) == b"one:x"
            router.stop.set()
            await until(lambda: not agent.connections)
