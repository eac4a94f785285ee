import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from podstream_core.api import PoolKey
from podstream_router import operators
from podstream_router.claims import Demand, demand
from podstream_router.operators import Operators
from router.harness import metric, running_router, until
from router.pools import Pool

KEY = PoolKey("lab", "media")


@dataclass
class Replica:
    """One operator."""

    status: int = 202
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        if self.status < 300:
            self.posts.append((request.path, await request.json()))
        return web.json_response({}, status=self.status)


@asynccontextmanager
async def replicas(*parts: tuple[str, Replica]) -> AsyncIterator[int]:
    """Operators on loopback addresses, all on one port."""
    runners = []
    port = 0
    for address, replica in parts:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", replica.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, address, port).start()
        port = runner.addresses[0][1]
        runners.append(runner)
    try:
        yield port
    finally:
        for runner in runners:
            await runner.cleanup()


@pytest.fixture
def several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A headless Service: the name has an address per replica, the last of them dead."""

    async def resolve(url: str) -> list[str]:
        port = url.rpartition(":")[2]
        return [f"http://127.0.0.{number}:{port}" for number in (2, 3, 4)]

    monkeypatch.setattr(operators, "_resolve", resolve)


@pytest.mark.usefixtures("several_addresses")
async def test_every_address_is_told_and_the_leader_takes_it(http: aiohttp.ClientSession) -> None:
    follower, leader = Replica(status=503), Replica()
    async with replicas(("127.0.0.2", follower), ("127.0.0.3", leader)) as port:
        speaker = Operators(http, url=f"http://operator:{port}")
        assert await speaker.post("/hint", {"a": 1})
        assert leader.posts == [("/hint", {"a": 1})]
        leader.status, follower.status = 503, 202
        assert await speaker.post("/hint", {"a": 2})
        assert follower.posts == [("/hint", {"a": 2})]
        follower.status = 503
        assert not await speaker.post("/hint", {"a": 3})
        await speaker.close()


async def test_name_is_resolved_to_all_its_addresses() -> None:
    assert await operators._resolve("http://127.0.0.1:8081") == ["http://127.0.0.1:8081"]
    assert await operators._resolve("http://[::1]:8081/x") == ["http://[::1]:8081/x"]
    unknown = "http://operator.invalid:8081"
    assert await operators._resolve(unknown) == [unknown]
    secure = "https://operator:8443"
    assert await operators._resolve(secure) == [secure], "its certificate names the host"


async def test_demand_is_told_at_once_and_again_until_it_ends(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "REPEAT_S", 0.02)
    operator = Replica()
    async with replicas(("127.0.0.1", operator)) as port:
        teller = Demand(Operators(http, url=f"http://127.0.0.1:{port}"), router="router-1")
        task = asyncio.create_task(teller.run())
        teller.set(KEY, 2)
        await until(lambda: len(operator.posts) >= 3)
        first = {"namespace": "lab", "pool": "media", "waiting": 2, "router": "router-1"}
        assert operator.posts[0] == ("/demand", first)
        assert operator.posts[2] == operator.posts[0]
        teller.set(KEY, 0)
        await until(lambda: operator.posts[-1][1]["waiting"] == 0)
        count = len(operator.posts)
        await asyncio.sleep(0.1)
        assert len(operator.posts) == count, "nothing waits, so nothing is said"
        task.cancel()
        await asyncio.wait({task})


async def test_demand_of_no_operator_harms_nothing(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Demand(Operators(http, url="http://127.0.0.1:1"), router="router-1")
    task = asyncio.create_task(teller.run())
    for waiting in (1, 2, 3):
        teller.set(KEY, waiting)
        await asyncio.sleep(0.02)
    assert teller.total == 3
    task.cancel()
    await asyncio.wait({task})
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1, "once, until an operator hears again"


async def test_waiting_connections_are_demand(http: aiohttp.ClientSession) -> None:
    operator = Replica()
    async with (
        replicas(("127.0.0.1", operator)) as port,
        running_router(operator_url=f"http://127.0.0.1:{port}", router_name="r-1") as router,
    ):
        pool = await Pool.create(router)
        waiting = [asyncio.create_task(pool.connect(http)) for _ in range(2)]
        await until(lambda: metric(router.router, "pool_waiting") == 2)
        await until(lambda: operator.posts and operator.posts[-1][1]["waiting"] == 2)
        assert operator.posts[-1][1] == {
            "namespace": "lab",
            "pool": "media",
            "waiting": 2,
            "router": "r-1",
        }
        for _ in range(2):
            await pool.start_pod()
        assert [(await task).status for task in waiting] == [201, 201]
        await until(
            lambda: [body for path, body in operator.posts if path == "/demand"][-1]["waiting"] == 0
        )
