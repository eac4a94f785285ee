import asyncio

import pytest

from podstream_router import http as http_module
from podstream_router.settings import Limits
from router.harness import Harness, running_router


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "HEADER_TIMEOUT_S", 0.2)
    monkeypatch.setattr(http_module, "BODY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(http_module, "LINGER_S", 0.1)


async def open_to(router: Harness) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", router.router.ports["http"])


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"POST /s/lab/ball/whep HTTP/1.1\r\nHost: x\r\nX-A: ", id="half-a-head"),
    ],
)
async def test_connection_without_a_request_is_closed(head: bytes) -> None:
    async with running_router() as router:
        reader, writer = await open_to(router)
        writer.write(head)
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        writer.close()


async def test_head_that_drips_is_closed() -> None:
    async with running_router() as router:
        reader, writer = await open_to(router)
        writer.write(b"GET / HTTP/1.1\r\n")
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(2):
            while not ended.done():
                writer.write(b"X-A: 1\r\n")
                await asyncio.wait({ended}, timeout=0.02)
        writer.close()
        await asyncio.wait({ended})


async def test_body_that_never_ends_is_refused() -> None:
    async with running_router() as router:
        session, _, _ = await router.add()
        reader, writer = await open_to(router)
        writer.write(
            b"POST /s/lab/ball/whep HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n"
            b"Content-Length: 1000\r\nAuthorization: Bearer "
            + router.token(session).encode()
            + b"\r\n\r\nv=0"
        )
        async with asyncio.timeout(2):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_oversized_head_is_refused_without_filling_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_router() as router:
        reader, writer = await open_to(router)
        writer.write(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n")
        async with asyncio.timeout(2):
            assert b" 400 Bad Request" in await reader.readline()
        writer.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_connections_are_bounded() -> None:
    async with running_router(limits=Limits(connections=2)) as router:
        kept = [await open_to(router) for _ in range(2)]
        for _, writer in kept:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in kept:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await open_to(router)
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        for _, open_writer in [*kept, (reader, writer)]:
            open_writer.close()
