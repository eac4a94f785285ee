"""A WebRTC client of a stream on loopback, without any HTTP: stock aiortc."""

import asyncio
import contextlib
import fractions
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from fakes.context import Context
from podstream_core.agentapi import Protocol
from podstream_core.ports import MEDIA_PORT_COUNT, MEDIA_PORT_FIRST
from podstream_workloads.agent import Connection, MediaAddress
from podstream_workloads.media import aiortc_private
from podstream_workloads.stream.workload import StreamWorkload

FPS = 30


def media_context(folder: Path) -> Context:
    """A context whose pod has the media ports."""
    context = Context(folder)
    context.media = MediaAddress(
        pod_uid=str(uuid.uuid4()),
        host="127.0.0.1",
        first_port=MEDIA_PORT_FIRST,
        port_count=MEDIA_PORT_COUNT,
    )
    return context


class Greys(MediaStreamTrack):
    """Frames of one grey each, 320x240, at a steady rate."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(1 / FPS)
        grey = np.full((240, 320, 3), 60 + self.sent % 100, np.uint8)
        frame = VideoFrame.from_ndarray(grey, format="bgr24")
        frame.pts, frame.time_base = self.sent * 90_000 // FPS, fractions.Fraction(1, 90_000)
        self.sent += 1
        return frame


async def offer_of(peer: RTCPeerConnection) -> str:
    """The peer's offer without candidates, as the router gives it to a pod."""
    await peer.setLocalDescription(await peer.createOffer())
    lines = peer.localDescription.sdp.splitlines()
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of"))]
    return "\r\n".join(kept) + "\r\n"


@contextlib.asynccontextmanager
async def connected(
    workload: StreamWorkload, peer: RTCPeerConnection, *, protocol: Protocol, name: str
) -> AsyncIterator[None]:
    """Offer to the workload; leave at the end."""
    role = "publisher" if protocol is Protocol.WHIP else "viewer"
    connection = Connection(id=name, role=role, protocol=protocol)
    try:
        answer = await workload.connect_whep(connection, offer_sdp=await offer_of(peer))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        yield
    finally:
        await aiortc_private.close_quietly(peer)


def new_peer() -> RTCPeerConnection:
    """A peer connection that asks nobody for its address."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))
