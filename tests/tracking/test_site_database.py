"""A site whose timelines are in a real PostgreSQL, as its agent runs it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from fakes.context import Context
from podstream_core import names
from podstream_core.agentapi import SessionRef
from podstream_core.api import OrchestratorResults, TrackingOrchestrator
from podstream_workloads.tracking.members import site as site_module
from podstream_workloads.tracking.members.site import SiteMember, TimelinesUnavailable
from tracking.orchestrator.postgres_server import HOW_TO_INSTALL, Postgres, find_programs, postgres

SPEC = TrackingOrchestrator.from_body(
    {"timelines": {"store": "PostgreSQL", "postgresql": {"urlSecretRef": {"name": "db"}}}}
)
NOBODY = "postgresql://nobody:quite-secret@127.0.0.1:1/none"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    programs = find_programs()
    if programs is None:
        pytest.skip(HOW_TO_INSTALL)
    with postgres(programs) as running:
        yield running


def mount(volumes: Path, url: str) -> None:
    folder = volumes / names.TRACKING_DATABASE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names.DATABASE_URL).write_text(f"{url}\n")


def member_of(volumes: Path, *, name: str) -> SiteMember:
    session = SessionRef(namespace="yard", name=name, uid="u")
    return SiteMember(SPEC, volumes=volumes, session=session)


@asynccontextmanager
async def serving(volumes: Path, *, name: str) -> AsyncIterator[tuple[SiteMember, str]]:
    """A site and its base URL."""
    member = member_of(volumes, name=name)
    runner = web.AppRunner(await member.open(Context(volumes)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield member, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await member.close()
        await runner.cleanup()


async def follow(base: str) -> int:
    """An object that a camera sees; its id."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{base}/processor") as camera,
        http.ws_connect(f"{base}/client") as client,
    ):
        await camera.send_json({"type": "identifier", "id": "gate"})
        await camera.send_json({"type": "hello"})
        while (await camera.receive_json(timeout=30))["type"] != "hello":
            pass
        await client.send_json({"type": "start", "cameraId": "gate", "frameId": 5.0, "boxId": 0})
        while (told := await camera.receive_json(timeout=30))["type"] != "start":
            pass
        number: int = told["objectId"]
        boxes = [{"boxId": 0, "objectId": number}]
        await camera.send_json({"type": "boundingBoxes", "frameId": 5.0, "boxes": boxes})
        while (await client.receive_json(timeout=30))["type"] != "boundingBoxes":
            pass
        return number


async def ask(base: str, number: int) -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{base}/timelines", params={"objectId": number}) as answer,
    ):
        return answer.status


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not told():  # noqa: ASYNC110 - figures have no event
            await asyncio.sleep(0.02)


def figures(member: SiteMember) -> OrchestratorResults:
    found = member.results().orchestrator
    assert found is not None
    return found


async def test_ids_and_timelines_go_on_after_a_restart(server: Postgres, tmp_path: Path) -> None:
    mount(tmp_path, server.url)
    async with serving(tmp_path, name="kept") as (_, base):
        assert await follow(base) == 1
    async with serving(tmp_path, name="kept") as (member, base):
        assert figures(member).timelines_total == 1
        assert await ask(base, 1) == 200
        assert await follow(base) == 2
    async with serving(tmp_path, name="another") as (_, base):
        assert await follow(base) == 1


async def test_a_site_goes_on_while_its_database_is_away(server: Postgres, tmp_path: Path) -> None:
    mount(tmp_path, server.url)
    async with serving(tmp_path, name="goes-on") as (member, base):
        await asyncio.to_thread(server.stop)
        try:
            assert await follow(base) == 1
            await until(lambda: figures(member).message is not None)
            assert await ask(base, 1) == 503
        finally:
            await asyncio.to_thread(server.start)
        await until(lambda: figures(member).message is None)
        assert await ask(base, 1) == 200


async def test_a_changed_secret_is_used_from_the_next_connection_on(
    server: Postgres, tmp_path: Path
) -> None:
    mount(tmp_path, server.url)
    async with serving(tmp_path, name="rotated") as (member, base):
        mount(tmp_path, NOBODY)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await follow(base)
        await until(lambda: figures(member).message is not None)
        mount(tmp_path, server.url)
        await until(lambda: figures(member).message is None)
        assert await ask(base, 1) == 200


@pytest.mark.parametrize(
    "url", [NOBODY, "postgresql://user:quite-secret@[", "postgresql://a:quite-secret:x@h:b/c", None]
)
async def test_a_database_that_never_answers_is_the_reason_of_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    monkeypatch.setattr(site_module, "_STORE_PATIENCE_S", 0.05)
    monkeypatch.setattr(site_module, "_STORE_AGAIN_S", 0.05)
    if url is not None:
        mount(tmp_path, url)
    with pytest.raises(TimelinesUnavailable) as found:
        await member_of(tmp_path, name="none").open(Context(tmp_path))
    assert found.value.code == "TimelinesUnavailable"
    assert "spec.tracking.orchestrator" in str(found.value)
    assert "quite-secret" not in str(found.value)
