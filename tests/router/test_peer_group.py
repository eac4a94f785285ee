"""Replicas that find each other over real HTTP on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from podstream_core.tokens import SigningKey
from podstream_router.peers import group as group_module
from podstream_router.peers.group import PeerGroup
from podstream_router.peers.link import BATCH_S, PATH
from podstream_router.peers.messages import FlowEntry, Seal
from podstream_router.peers.outbox import OwnFlows
from podstream_router.peers.table import AnnouncedFlows
from router.harness import until

KEY = SigningKey.generate()
ANNA = FlowEntry("192.0.2.1", 40_000, "u")
BERT = FlowEntry("192.0.2.2", 40_000, "u")


@dataclass
class Replica:
    """One replica's part in the group, without media."""

    name: str
    key: SigningKey = KEY
    port: int = 0
    addresses: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    news: list[FlowEntry] = field(default_factory=list)
    names: tuple[str, ...] = ()

    async def start(self, http: aiohttp.ClientSession) -> None:
        self.own = OwnFlows(name=self.name)
        self.announced = AnnouncedFlows(max_flows=100)
        self.group = PeerGroup(
            self.names,
            http=http,
            seal=Seal([self.key]),
            own=self.own,
            announced=self.announced,
            on_news=self.news.extend,
            max_flows=100,
            resolve=self._resolve,
        )
        app = web.Application()
        self.group.add_to(app)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        self.port = self.runner.addresses[0][1]
        self.own.admin_port = self.port
        self.task = asyncio.create_task(self.group.run())

    async def _resolve(self, _host: str) -> list[str]:
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses

    def add(self, entry: FlowEntry) -> None:
        self.own.flows[entry.source] = entry
        self.group.note(entry.source)

    def drop(self, entry: FlowEntry) -> None:
        del self.own.flows[entry.source]
        self.group.note(entry.source)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.runner.cleanup()


@pytest.fixture
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are resolved all the time; ask for it before the replicas."""
    monkeypatch.setattr(group_module, "RESOLVE_S", 0.05)
    monkeypatch.setattr(group_module, "FORGET_S", 0.2)


@pytest.fixture
async def replicas(http: aiohttp.ClientSession) -> AsyncIterator[list[Replica]]:
    """Two replicas that know each other."""
    first = Replica("first", names=("ignored:1",), addresses=[])
    await first.start(http)
    second = Replica("second", names=(f"peers:{first.port}",))
    await second.start(http)
    made = [first, second]
    await until(lambda: all(len(item.group.links) == 1 for item in made))
    yield made
    for item in made:
        await item.stop()


async def test_replica_that_starts_is_known_to_the_others_without_dns(
    replicas: list[Replica],
) -> None:
    """The first one resolves nothing: it answers to whoever has the seal."""
    first, second = replicas
    assert [link.peer for link in first.group.links] == ["second"]
    assert [link.peer for link in second.group.links] == ["first"]


async def test_changes_arrive_within_two_tenths_of_a_second(replicas: list[Replica]) -> None:
    first, second = replicas
    loop = asyncio.get_running_loop()
    began = loop.time()
    first.add(ANNA)
    await until(lambda: second.announced.count == 1)
    assert loop.time() - began < 0.2
    assert second.news == [ANNA]
    assert BATCH_S <= 0.1
    first.drop(ANNA)
    await until(lambda: second.announced.count == 0)


async def test_replica_that_starts_learns_what_is_there_before_it_is_ready(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    first, second = replicas
    first.add(ANNA)
    await until(lambda: second.announced.count == 1)
    third = Replica("third", names=(f"peers:{second.port}",))
    replicas.append(third)
    await third.start(http)
    await until(lambda: third.group.has_asked)
    # It asked only the second one, who told what the first one has.
    assert third.announced.count == 1


async def test_peer_that_has_started_anew_is_told_everything_with_the_next_change(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    """It asks by itself where it can; here it finds nobody."""
    first, second = replicas
    second.add(ANNA)
    await until(lambda: first.announced.count == 1)
    await first.stop()
    again = Replica("again", names=("ignored:1",), addresses=[], port=first.port)
    replicas[0] = again
    await again.start(http)
    second.add(BERT)
    await until(lambda: again.announced.count == 2)


async def test_replica_does_not_speak_to_itself(http: aiohttp.ClientSession) -> None:
    alone = Replica("alone", names=("ignored:1",), addresses=[])
    await alone.start(http)
    alone.group._meet("127.0.0.1", alone.port)
    await until(lambda: all(link.tried.is_set() for link in alone.group._links.values()))
    assert alone.group.links == []
    assert alone.announced.count == 0
    await alone.stop()


async def test_stranger_is_refused_and_changes_nothing(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    """A session pod holds public keys only; any other key opens nothing."""
    first, _ = replicas
    intruder = OwnFlows(name="intruder")
    said = Seal([SigningKey.generate()]).close(intruder.message(flows=[ANNA], is_all=True))
    url = f"http://127.0.0.1:{first.port}{PATH}"
    for body in (said, b"", b"x" * 100):
        async with http.post(url, data=body) as response:
            assert response.status == 401
            assert await response.read() == b""
    assert first.announced.count == 0
    assert first.group.messages["refused"] == 3


async def test_message_that_is_too_long_is_refused(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{replicas[0].port}{PATH}"
    async with http.post(url, data=bytes(1 << 20)) as response:
        assert response.status == 401


async def test_peer_that_is_nowhere_any_more_is_forgotten(
    quick_look: None, replicas: list[Replica]
) -> None:
    first, second = replicas
    second.addresses = []
    await first.stop()
    await until(lambda: not second.group._links)


async def test_group_without_names_takes_no_messages(http: aiohttp.ClientSession) -> None:
    alone = Replica("alone")
    await alone.start(http)
    assert alone.group.has_asked
    async with http.post(f"http://127.0.0.1:{alone.port}{PATH}", data=b"") as response:
        assert response.status == 404
    await alone.stop()
