"""Session pods that speak real WebRTC, as far as the router sees them.

Each gathers one candidate on its own loopback address and a media port, with a fragment that names
the pod, and streams a picture of one brightness.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
    rtcpeerconnection,
)
from aiortc.rtcicetransport import RTCIceGatherer
from av import VideoFrame

from podstream_core.ports import MEDIA_PORT_FIRST
from podstream_core.ufrag import make_ufrag

CONFIGURATION = RTCConfiguration(iceServers=[])
_POD: ContextVar["WebRtcPod | None"] = ContextVar("pod", default=None)


class Brightness(VideoStreamTrack):
    """A grey picture."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._picture = np.full((96, 64), level, np.uint8)
        self._picture[64:] = 128

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._picture, format="yuv420p")
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


@dataclass
class WebRtcPod:
    """The media side of one session pod."""

    uid: str
    ip: str
    level: int
    next_port: int = MEDIA_PORT_FIRST
    heard: list[str] = field(default_factory=list)
    peers: list[RTCPeerConnection] = field(default_factory=list)

    async def answer(self, offer: str) -> str:
        """Answer an offer with a stream."""
        _POD.set(self)
        peer = RTCPeerConnection(CONFIGURATION)
        self.peers.append(peer)
        peer.addTrack(Brightness(self.level))

        def on_channel(channel: Any) -> None:
            def on_message(text: str) -> None:
                self.heard.append(text)
                channel.send(f"{self.level} {text}")

            channel.on("message", on_message)

        peer.on("datachannel", on_channel)

        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        sdp: str = peer.localDescription.sdp
        return sdp

    async def close(self) -> None:
        for peer in self.peers:
            await peer.close()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let aiortc gather as session pods and loopback clients do."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    monkeypatch.setattr(rtcpeerconnection, "RTCIceGatherer", _new_gatherer)


def _new_gatherer(**options: Any) -> RTCIceGatherer:
    pod = _POD.get()
    if pod is None:
        return RTCIceGatherer(**options)
    port, pod.next_port = pod.next_port, pod.next_port + 1
    # Transports of one bundle share a fragment; only the first of them is used.
    options["local_username"] = options.get("local_username") or make_ufrag(pod.uid, port=port)
    gatherer = RTCIceGatherer(**options)
    connection = gatherer._connection

    async def gather(component: int, addresses: object, timeout: int = 5) -> list[Candidate]:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            lambda: StunProtocol(connection), local_addr=(pod.ip, port)
        )
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", pod.ip),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=pod.ip,
            port=port,
            type="host",
        )
        connection._protocols.append(protocol)
        return [protocol.local_candidate]

    monkeypatched: Any = connection
    monkeypatched.get_component_candidates = gather
    return gatherer
