"""Single requests to the API server: as the router, or as the person whose token it is."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from podstream_router.kube import KubeReader
from podstream_router.watch import ApiError, ApiUnreachable

PATH = "/apis/podstream.dev/v1alpha1/namespaces/lab/streamsessions"


@dataclass
class Server:
    """Answers everything alike and keeps what it was asked."""

    status: int = 201
    body: Any = field(default_factory=dict)
    asked: list[tuple[str, str | None, str | None, Any]] = field(default_factory=list)
    """Method, authorization, content type and body."""

    async def handle(self, request: web.Request) -> web.Response:
        headers = request.headers
        text = await request.text()
        self.asked.append(
            (
                request.method,
                headers.get("Authorization"),
                headers.get("Content-Type"),
                json.loads(text) if text else None,
            )
        )
        return web.json_response(self.body, status=self.status)


@asynccontextmanager
async def reading(server: Server, **settings: Any) -> AsyncIterator[KubeReader]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with TestServer(app) as running:
        configuration = client.Configuration()
        configuration.host = str(running.make_url("")).rstrip("/")
        configuration.api_key["BearerToken"] = "Bearer the-routers-own"
        for name, value in settings.items():
            setattr(configuration, name, value)
        reader = KubeReader(client.ApiClient(configuration))
        try:
            yield reader
        finally:
            await reader.close()


async def test_a_persons_token_takes_the_place_of_the_routers() -> None:
    server = Server()
    async with reading(server) as api:
        await api.send("POST", PATH, body={"a": 1})
        await api.send("POST", PATH, body={"a": 2}, token="ada")
    assert server.asked == [
        ("POST", "Bearer the-routers-own", "application/json", {"a": 1}),
        ("POST", "Bearer ada", "application/json", {"a": 2}),
    ]


async def test_a_merge_patch_is_sent_as_one() -> None:
    server = Server(status=200)
    async with reading(server) as api:
        await api.send(
            "PATCH", PATH, body={"spec": {}}, content_type="application/merge-patch+json"
        )
    assert server.asked[0][2] == "application/merge-patch+json"


async def test_a_refusal_names_each_field() -> None:
    causes = [{"reason": "Invalid", "field": "spec.circle.fps", "message": "too large"}]
    server = Server(status=422, body={"message": "invalid", "details": {"causes": causes}})
    async with reading(server) as api:
        with pytest.raises(ApiError) as caught:
            await api.send("POST", PATH, body={})
    assert (caught.value.status, caught.value.message) == (422, "invalid")
    assert caught.value.causes == [{"field": "spec.circle.fps", "message": "too large"}]


async def test_a_login_by_certificate_never_speaks_for_a_person() -> None:
    """The certificate would: the API server looks at it before any token."""
    server = Server()
    async with reading(server) as api:
        api._api.configuration.cert_file = "/somewhere/client.crt"
        with pytest.raises(ApiUnreachable, match="own login"):
            await api.send("POST", PATH, body={}, token="ada")
    assert server.asked == []


async def test_an_api_server_that_is_away_is_unreachable() -> None:
    server = Server()
    async with reading(server, host="http://127.0.0.1:9") as api:
        with pytest.raises(ApiUnreachable):
            await api.send("GET", PATH)
