import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from fakes.fake_agent import FakeAgent, description
from podstream_core.ufrag import make_ufrag
from podstream_router import lines
from podstream_router.settings import Limits
from podstream_router.signalling import pumps
from router.harness import EPOCH, Harness, metric, running_router, session_route, until

PUBLIC: dict[str, Any] = {"public": True, "listeners": ("signalling",)}
ANSWER = description("client12", host="203.0.113.9", port=54321)


class Workload:
    """Offers to every client and keeps what it says."""

    def __init__(self, agent: FakeAgent, *, messages: tuple[dict[str, Any], ...] = ()) -> None:
        self.said: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self.leave = asyncio.Event()
        self._messages = messages
        self._offer = description(make_ufrag(agent.pod_uid, port=20003), host=agent.ip)
        agent.on_stream = self.serve

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            self.ended.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for message in ({"sdp": self._offer, "type": "offer"}, *self._messages):
            writer.write(json.dumps(message).encode() + b"\n")
        leaving = asyncio.create_task(self.leave.wait())
        while True:
            line = asyncio.create_task(reader.readline())
            await asyncio.wait({line, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                await asyncio.wait({line})
                break
            if not line.result():
                break
            self.said.append(json.loads(line.result()))
        leaving.cancel()


class Client:
    """A raw client of the signalling port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def receive(self) -> dict[str, Any] | None:
        async with asyncio.timeout(5):
            line = await self.reader.readline()
        message: dict[str, Any] | None = json.loads(line) if line else None
        return message

    def send(self, message: dict[str, Any]) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def is_closed(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True


@asynccontextmanager
async def client_of(router: Harness) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", router.router.ports["signalling"])
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def result(router: Harness, name: str) -> float:
    return metric(router.router, "connections_total", protocol="Signalling", result=name)


async def test_offer_and_answer_pass_with_other_addresses(router: Harness) -> None:
    _, agent, pod = await router.add(**PUBLIC)
    workload = Workload(agent)
    async with client_of(router) as client:
        offer = await client.receive()
        assert offer is not None
        assert offer["type"] == "offer"
        assert pod.ip not in offer["sdp"]
        assert " 192.0.2.1 3478 typ host" in offer["sdp"]

        client.send({"sdp": ANSWER, "type": "answer"})
        candidate = {"candidate": "candidate:1 1 udp 1 203.0.113.9 1 typ host", "id": "0"}
        client.send({**candidate, "label": 0, "type": "candidate"})
        client.send({"type": "bye"})
        await until(lambda: len(workload.said) == 2)

    answer, bye = workload.said
    assert answer["type"] == "answer"
    assert "203.0.113.9" not in answer["sdp"]
    assert "a=candidate" not in answer["sdp"]
    assert bye == {"type": "bye"}
    (grant,) = agent.grants
    assert (grant.workload, grant.role, grant.protocol) == ("circle", "player", "Signalling")


async def test_messages_are_one_line_with_sorted_keys(router: Harness) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    Workload(agent)
    async with client_of(router) as client:
        line = await client.reader.readline()
    assert line.startswith(b'{"sdp":')
    assert line.endswith(b'"type":"offer"}\n')


async def test_end_of_the_client_ends_the_pod_side(router: Harness) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    workload = Workload(agent)
    async with client_of(router) as client:
        await client.receive()
    await asyncio.wait_for(workload.ended.wait(), 5)
    await until(lambda: result(router, "Bound") == 1)
    assert not agent.connections


async def test_end_of_the_pod_ends_the_client(router: Harness) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    workload = Workload(agent)
    async with client_of(router) as client:
        await client.receive()
        workload.leave.set()
        assert await client.is_closed()


async def test_pod_that_dies_ends_the_client(router: Harness) -> None:
    _, agent, pod = await router.add(**PUBLIC)
    Workload(agent)
    async with client_of(router) as client:
        await client.receive()
        router.router.routes.remove_pod(pod.uid)
        await agent.stop()
        assert await client.is_closed()


async def test_bye_of_the_pod_is_passed_and_its_candidates_are_not(router: Harness) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    messages = ({"type": "candidate", "candidate": "candidate:x"}, {"type": "bye"})
    Workload(agent, messages=messages)
    async with client_of(router) as client:
        await client.receive()
        assert await client.receive() == {"type": "bye"}


async def test_client_that_is_early_is_held_until_session_and_pod_are_there(
    router: Harness,
) -> None:
    async with client_of(router) as client:
        receiving = asyncio.create_task(client.receive())
        await asyncio.sleep(0.05)
        assert not receiving.done()
        session = session_route(**PUBLIC)
        router.router.routes.upsert_session(session)
        await asyncio.sleep(0.05)
        assert not receiving.done()
        agent, pod = await router.start_agent(session, announce=False)
        Workload(agent)
        router.router.routes.upsert_pod(pod)
        message = await receiving
    assert message is not None


async def test_hold_is_bounded() -> None:
    async with running_router(hold_timeout_s=0.1) as router, client_of(router) as client:
        assert await client.is_closed()
        assert result(router, "NotReady") == 1


async def test_client_that_leaves_while_held_frees_its_place(router: Harness) -> None:
    async with client_of(router):
        await until(lambda: router.router._held.count == 1)
    await until(lambda: router.router._held.count == 0)
    assert result(router, "Abandoned") == 1


async def test_busy_session_closes_the_second_client(router: Harness) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    Workload(agent)
    async with client_of(router) as first:
        await first.receive()
        async with client_of(router) as second:
            assert await second.is_closed()
        assert result(router, "Busy") == 1
        first.send({"type": "bye"})


async def test_oldest_unfinished_session_wins(router: Harness) -> None:
    _, young, _ = await router.add("young", created=EPOCH + timedelta(hours=1), **PUBLIC)
    _, over, _ = await router.add("over", created=EPOCH, ended="Completed", **PUBLIC)
    _, old, _ = await router.add("old", created=EPOCH + timedelta(minutes=1), **PUBLIC)
    await router.add("private", created=EPOCH, public=False, listeners=("signalling",))
    for agent in (young, over, old):
        Workload(agent)
    async with client_of(router) as client:
        await client.receive()
        assert [len(agent.grants) for agent in (young, over, old)] == [0, 0, 1]


async def test_session_that_has_just_ended_gives_way_to_the_next(router: Harness) -> None:
    _, ended, _ = await router.add("a", **PUBLIC)
    _, following, _ = await router.add("b", created=EPOCH + timedelta(seconds=1), **PUBLIC)
    ended.refusals.extend([(410, "SessionEnded")] * 10)
    Workload(following)
    async with client_of(router) as client:
        assert await client.receive() is not None
    assert len(following.grants) == 1


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"[1, 2]\n", id="no-object"),
        pytest.param(b'{"sdp": "v=0"}\n', id="no-type"),
        pytest.param(b'{"type": "nonsense"}\n', id="unknown-type"),
        pytest.param(b'{"type": ["answer"]}\n', id="type-is-a-list"),
        pytest.param(b'{"type": "answer", "sdp": 7}\n', id="sdp-is-a-number"),
        pytest.param(b'{"type": "answer", "sdp": "v=0"}\n', id="sdp-is-malformed"),
        pytest.param(b"\xff\xfe\n", id="not-utf8"),
        pytest.param(b"[" * 60_000 + b"\n", id="deep-arrays"),
        pytest.param(b'{"type": ' + b'{"a":' * 12_000 + b"\n", id="deep-objects"),
        pytest.param(b"a" * 100_000, id="endless-line"),
    ],
)
async def test_junk_closes_the_connection_and_frees_the_slot(router: Harness, junk: bytes) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    workload = Workload(agent)
    async with client_of(router) as client:
        await client.receive()
        client.writer.write(junk)
        assert await client.is_closed()
    await asyncio.wait_for(workload.ended.wait(), 5)
    assert not workload.said
    assert result(router, "Broken") == 1


async def test_line_that_is_begun_and_not_ended_is_cut(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINE_TIMEOUT_S", 0.1)
    _, agent, _ = await router.add(**PUBLIC)
    Workload(agent)
    async with client_of(router) as client:
        await client.receive()
        client.writer.write(b'{"type": ')
        assert await client.is_closed()


async def test_client_that_never_answers_is_cut(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pumps, "ANSWER_TIMEOUT_S", 0.1)
    _, agent, _ = await router.add(**PUBLIC)
    Workload(agent)
    async with client_of(router) as client:
        await client.receive()
        assert await client.is_closed()


async def test_client_that_does_not_read_is_cut(
    router: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pumps, "WRITE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(pumps, "CLOSING_S", 0.1)
    _, agent, _ = await router.add(**PUBLIC)
    offer = {"sdp": description(make_ufrag(agent.pod_uid, port=20000)), "type": "offer"}
    workload = Workload(agent, messages=(offer,) * 20_000)
    async with client_of(router):
        await asyncio.wait_for(workload.ended.wait(), 10)
        await until(lambda: result(router, "Broken") == 1)
        await until(lambda: not router.router._raw_listeners[0].open_connections)


async def test_connections_of_one_source_are_bounded() -> None:
    limits = Limits(connections_per_source=1)
    async with running_router(limits=limits) as router, client_of(router):
        await until(lambda: router.router._held.count == 1)
        async with client_of(router) as second:
            assert await second.is_closed()
        assert result(router, "TooManyRequests") == 1


async def test_offer_that_does_not_name_its_pod_is_not_passed_on(router: Harness) -> None:
    _, agent, _ = await router.add(**PUBLIC)
    workload = Workload(agent)
    workload._offer = description(make_ufrag("another pod", port=20000))
    async with client_of(router) as client:
        assert await client.is_closed()


async def test_shutdown_closes_held_and_open_connections() -> None:
    async with running_router() as router:
        _, agent, _ = await router.add(**PUBLIC)
        Workload(agent)
        async with client_of(router) as bound, client_of(router) as busy:
            await bound.receive()
            router.stop.set()
            assert await busy.is_closed()
            assert await bound.is_closed()
