"""Two router replicas of one installation on loopback, and what stands between them and a client.

`Front` is what kube-proxy is for a client: it knows one address, and packets reach one replica at a
time, with the same source address whichever that is.
"""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
    rtcpeerconnection,
)

from podstream_core.agentapi import MediaPath
from podstream_core.ports import MEDIA_PORT_COUNT, MEDIA_PORT_FIRST
from podstream_core.tokens import SigningKey
from podstream_router.routes import PodRoute, SessionRoute
from podstream_workloads.media import aiortc_private
from router.harness import Harness, running_router, until

CONFIGURATION = RTCConfiguration(iceServers=[])
Address = tuple[str, int]


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Front(asyncio.DatagramProtocol):
    """One client's way to the replicas."""

    def __init__(self, front: "Front | None" = None) -> None:
        self.outer = front
        self.client: Address | None = None
        self.target: Address | None = None

    async def open(self) -> int:
        """Port of the client's side."""
        loop = asyncio.get_running_loop()
        self.outside, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.inside, _ = await loop.create_datagram_endpoint(
            lambda: Front(self), local_addr=("127.0.0.1", 0)
        )
        port: int = self.outside.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.outer is None:
            self.client = addr
            if self.target is not None:
                self.inside.sendto(data, self.target)
        elif self.outer.client is not None and addr == self.outer.target:
            # Connection tracking: what another replica sends has no way to the client.
            self.outer.outside.sendto(data, self.outer.client)

    def close(self) -> None:
        self.outside.close()
        self.inside.close()


@dataclass
class Replicas:
    """Two running replicas that know each other, or not."""

    first: Harness
    second: Harness
    front: Front

    def use(self, replica: Harness) -> None:
        """Have the client's packets reach this replica from now on."""
        self.front.target = ("127.0.0.1", replica.router.relay.port)

    async def add(self) -> tuple[SessionRoute, Any, PodRoute]:
        """A session with a pod that both replicas see."""
        session, agent, pod = await self.first.add()
        self.second.router.routes.upsert_session(session)
        self.second.router.routes.upsert_pod(pod)
        return session, agent, pod

    async def know_each_other(self) -> None:
        for replica in (self.first, self.second):
            await until(lambda replica=replica: len(replica.router.sharing.group.links) == 1)

    async def second_knows(self, flows: int) -> None:
        await until(lambda: metric(self.second, "peer_flows") == flows)


def metric(replica: Harness, name: str, **labels: str) -> float:
    registry = replica.router.metrics.registry
    return registry.get_sample_value(f"podstream_router_{name}", labels) or 0.0


@asynccontextmanager
async def running_replicas(
    *, sharing: bool = True, drain_timeout_s: float = 0.2
) -> AsyncIterator[Replicas]:
    """Run both; `sharing`: whether they tell each other their flows."""
    front = Front()
    advertise = (f"127.0.0.1:{await front.open()}",)
    keys = (SigningKey.generate(), SigningKey.generate())
    ports = [free_port(socket.SOCK_STREAM) for _ in range(2)]
    peers = tuple(f"127.0.0.1:{port}" for port in ports) if sharing else ()

    def replica(admin_port: int) -> Any:
        return running_router(
            installation=keys,
            media_advertise=advertise,
            admin_port=admin_port,
            peers=peers,
            drain_timeout_s=drain_timeout_s,
        )

    async with replica(ports[0]) as first, replica(ports[1]) as second:
        replicas = Replicas(first, second, front)
        replicas.use(first)
        try:
            if sharing:
                await replicas.know_each_other()
            yield replicas
        finally:
            front.close()
            for harness in (first, second):
                harness.router.relay.flows.close_all()  # nothing is left to drain


class StreamingPod:
    """A session pod's media, with the code that pods run."""

    def __init__(self, pod: PodRoute) -> None:
        assert pod.ip is not None
        self._ice = aiortc_private.PodIce(
            pod_uid=pod.uid,
            host=pod.ip,
            ports=range(MEDIA_PORT_FIRST, MEDIA_PORT_FIRST + MEDIA_PORT_COUNT),
        )
        self.peers: list[RTCPeerConnection] = []

    async def answer(self, offer: str) -> str:
        peer = RTCPeerConnection(CONFIGURATION)
        self.peers.append(peer)
        with aiortc_private.gathering_at(self._ice):
            peer.addTrack(VideoStreamTrack())
            peer.on("datachannel", _echo)
            await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
        sdp: str = peer.localDescription.sdp
        return sdp

    def move(self, path: MediaPath) -> bool:
        return self._ice.redirect(path.port, (path.address, path.address_port))

    async def close(self) -> None:
        for peer in self.peers:
            await aiortc_private.close_quietly(peer)


def _echo(channel: Any) -> None:
    channel.on("message", channel.send)


class Viewer:
    """A stock aiortc client that notes when frames come, and sends 30 messages a second."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(CONFIGURATION)
        self.frames: list[float] = []
        self.echoes: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(
        self, replica: Harness, session: SessionRoute, http: aiohttp.ClientSession
    ) -> None:
        self.peer.addTransceiver("video", direction="recvonly")
        channel = self.peer.createDataChannel("positions", ordered=False, maxRetransmits=0)
        channel.on("open", lambda: self._start(self._send(channel)))
        channel.on("message", lambda _: self.echoes.append(self.now()))
        self.peer.on("track", lambda track: self._start(self._watch(track)))
        await self.peer.setLocalDescription(await self.peer.createOffer())
        url = replica.url(f"/s/{session.key.namespace}/{session.key.name}/whep")
        headers = {"Content-Type": "application/sdp", **replica.bearer(session)}
        async with http.post(url, data=self.peer.localDescription.sdp, headers=headers) as response:
            assert response.status == 201
            answer = RTCSessionDescription(await response.text(), "answer")
        await self.peer.setRemoteDescription(answer)
        await until(lambda: len(self.frames) > 15 and len(self.echoes) > 5, timeout_s=20)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _watch(self, track: Any) -> None:
        while True:
            await track.recv()
            self.frames.append(self.now())

    async def _send(self, channel: Any) -> None:
        while True:
            channel.send("1\t2\t3")
            await asyncio.sleep(1 / 30)

    async def gap_s(self, *, since: float, settle_s: float = 1.0) -> float:
        """Longest time without a frame from then on, once frames come again."""
        await until(lambda: any(at > since + settle_s for at in self.frames), timeout_s=20)
        times = [since, *(at for at in self.frames if at > since)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.peer.close()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients gather on loopback and send no consent check in a test's time."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 3600)
    # Pods replace the gatherer for good; put back what was there.
    module: Any = rtcpeerconnection
    monkeypatch.setattr(module, "RTCIceGatherer", module.RTCIceGatherer)
