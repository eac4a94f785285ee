"""Real WebRTC that changes its router replica: the code of pods, stock clients, two routers.

Clients send no consent check here: with aioice's five seconds a replica without peers would learn
only then to whom a packet belongs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from router.harness import until
from router.replicas import Replicas, StreamingPod, Viewer, install, metric, running_replicas

pytestmark = pytest.mark.media

SWITCH_S = 0.3
"""What kube-proxy takes here to lead a client to another replica."""


@asynccontextmanager
async def watching(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession, replicas: Replicas
) -> AsyncIterator[Viewer]:
    install(monkeypatch)
    session, agent, pod = await replicas.add()
    media, viewer = StreamingPod(pod), Viewer()
    agent.answerer, agent.on_media_path = media.answer, media.move
    try:
        await viewer.connect(replicas.first, session, http)
        yield viewer
    finally:
        await viewer.close()
        await media.close()


async def test_stream_goes_on_when_its_replica_dies(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    async with running_replicas() as replicas, watching(monkeypatch, http, replicas) as viewer:
        await replicas.second_knows(1)
        began = viewer.now()
        replicas.first.router.relay.close()
        await asyncio.sleep(SWITCH_S)
        replicas.use(replicas.second)
        gap_s = await viewer.gap_s(since=began)
        print(
            f"replica died: {gap_s * 1000:.0f} ms without a frame, {SWITCH_S * 1000:.0f} of "
            "them until packets reached the other one"
        )
        assert SWITCH_S < gap_s < SWITCH_S + 1.0
        assert metric(replicas.second, "takeovers_total", result="moved") == 1
        assert viewer.echoes[-1] > began + SWITCH_S


async def test_stream_leaves_a_replica_that_stops_without_a_gap_and_lets_it_go(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    async with (
        running_replicas(drain_timeout_s=15) as replicas,
        watching(monkeypatch, http, replicas) as viewer,
    ):
        await replicas.second_knows(1)
        first = replicas.first.router.relay
        began = viewer.now()
        replicas.first.stop.set()
        await asyncio.sleep(SWITCH_S)
        replicas.use(replicas.second)
        gap_s = await viewer.gap_s(since=began)
        print(f"replica stopped: {gap_s * 1000:.0f} ms without a frame")
        assert gap_s < 0.5
        # Nothing is left to wait for: the replica ends long before its drain time is over.
        await until(lambda: first.ended["superseded"] == 1)
        assert viewer.now() - began < 6


async def test_replica_without_peers_does_not_know_whose_packets_these_are(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    """The reason for sharing flows; nothing comes before the client's next consent check."""
    async with (
        running_replicas(sharing=False) as replicas,
        watching(monkeypatch, http, replicas) as viewer,
    ):
        began = viewer.now()
        replicas.first.router.relay.close()
        replicas.use(replicas.second)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await viewer.gap_s(since=began)


async def test_flow_comes_back_to_the_replica_that_hears_its_client(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    """Somebody forged a packet with the client's address: it costs the stream a moment."""
    async with (
        running_replicas() as replicas,
        watching(monkeypatch, http, replicas) as viewer,
    ):
        await replicas.second_knows(1)
        began = viewer.now()
        relay = ("127.0.0.1", replicas.second.router.relay.port)
        replicas.front.inside.sendto(b"\x80\xc8" + bytes(26), relay)
        await until(lambda: metric(replicas.first, "takeovers_total", result="moved") == 1)
        gap_s = await viewer.gap_s(since=began, settle_s=3.0)
        print(f"packet forged: {gap_s * 1000:.0f} ms without a frame")
        assert gap_s < 2.5
        await until(lambda: replicas.second.router.relay.ended["superseded"] == 1)
