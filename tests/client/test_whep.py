"""The WHEP client against a real HTTP server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from podstream_workloads.client.errors import ClientError, SessionOver, SessionRefused
from podstream_workloads.client.whep import WhepClient

Answers = list[Callable[[], web.Response]]


class Server:
    """Gives its answers one after the other; the last one repeats."""

    def __init__(self) -> None:
        self.answers: Answers = []
        self.posts: list[tuple[str, str]] = []
        self.deleted: list[str] = []
        self.deleted_with: list[str] = []
        self.url = ""

    async def post(self, request: web.Request) -> web.Response:
        self.posts.append((request.headers.get("Authorization", ""), await request.text()))
        return self.answers[min(len(self.posts), len(self.answers)) - 1]()

    async def delete(self, request: web.Request) -> web.Response:
        self.deleted.append(request.path)
        self.deleted_with.append(request.headers.get("Authorization", ""))
        return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_post("/s/default/ball/whep", made.post)
    app.router.add_delete("/s/default/ball/whep/{id}", made.delete)
    async with TestServer(app) as running:
        made.url = str(running.make_url("/s/default/ball/whep"))
        yield made


def _created() -> web.Response:
    return web.Response(
        status=201,
        text="answer",
        content_type="application/sdp",
        headers={"Location": "/s/default/ball/whep/abc"},
    )


def _refusal(status: int, **headers: str) -> Callable[[], web.Response]:
    body = {"error": "Busy", "message": "one connection per pod"}
    return lambda: web.json_response(body, status=status, headers=headers)


async def test_the_answer_comes_and_leaving_deletes_the_resource(server: Server) -> None:
    server.answers = [_created]
    async with WhepClient(server.url, token="secret") as client:
        assert await client.exchange("offer", timeout_s=5) == "answer"
        await client.leave()
        await client.leave()
    assert server.posts == [("Bearer secret", "offer")]
    assert server.deleted == ["/s/default/ball/whep/abc"]


async def test_token_of_the_session_that_a_pool_has_made_leads_back_to_it(server: Server) -> None:
    def born() -> web.Response:
        made = _created()
        made.headers["Podstream-Session"] = "default/media-1a2b3c4d"
        made.headers["Podstream-Token"] = "of the session"
        return made

    server.answers = [born, _created]
    async with WhepClient(server.url, token="of the pool") as client:
        await client.exchange("first", timeout_s=5)
        await client.exchange("again", timeout_s=5)
        await client.leave()
    assert server.posts == [("Bearer of the pool", "first"), ("Bearer of the session", "again")]
    assert server.deleted_with == ["Bearer of the session"]


async def test_a_busy_or_missing_session_is_waited_for_as_long_as_it_says(server: Server) -> None:
    server.answers = [_refusal(404), _refusal(503, **{"Retry-After": "1"}), _created]
    begun = time.monotonic()
    async with WhepClient(server.url, token=None) as client:
        assert await client.exchange("offer", timeout_s=10) == "answer"
    assert len(server.posts) == 3
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(401, SessionRefused, id="no token"),
        pytest.param(403, SessionRefused, id="foreign token"),
        pytest.param(422, SessionRefused, id="unusable offer"),
        pytest.param(410, SessionOver, id="ended"),
    ],
)
async def test_final_refusals_carry_the_servers_words(
    server: Server, status: int, error: type[Exception]
) -> None:
    server.answers = [_refusal(status)]
    async with WhepClient(server.url, token=None) as client:
        with pytest.raises(error, match="one connection per pod"):
            await client.exchange("offer", timeout_s=5)
    assert len(server.posts) == 1


async def test_the_token_never_goes_to_another_server(server: Server) -> None:
    seen: list[str | None] = []

    async def note(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response()

    app = web.Application()
    app.router.add_delete("/elsewhere", note)
    async with TestServer(app) as other:
        location = {"Location": str(other.make_url("/elsewhere"))}
        server.answers = [lambda: web.Response(status=201, text="answer", headers=location)]
        async with WhepClient(server.url, token="secret") as client:
            await client.exchange("offer", timeout_s=5)
            await client.leave()
    assert seen == [None]


async def test_waiting_ends_and_says_what_came_last(server: Server) -> None:
    server.answers = [_refusal(503)]
    async with WhepClient(server.url, token=None) as client:
        with pytest.raises(ClientError, match="503 Busy: one connection per pod"):
            await client.exchange("offer", timeout_s=0.5)


async def test_nobody_listening_is_a_clear_error() -> None:
    async with WhepClient("http://127.0.0.1:9/whep", token=None) as client:
        with pytest.raises(ClientError, match="no session within"):
            await client.exchange("offer", timeout_s=0.3)


async def test_leaving_a_server_that_hangs_is_bounded(server: Server) -> None:
    server.answers = [_created]
    hang = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        await hang.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/whep", server.post)
    app.router.add_delete("/s/default/ball/whep/abc", never)
    async with TestServer(app, skip_url_asserts=True) as running:
        async with WhepClient(str(running.make_url("/whep")), token=None) as client:
            await client.exchange("offer", timeout_s=5)
            async with asyncio.timeout(4):
                await client.leave()
        hang.set()
