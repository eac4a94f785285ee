"""Viewers of a stream over WebRTC: one encoder for all of them, and nobody waits for the slow."""

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver
from av import VideoFrame

from podstream_core.agentapi import Protocol
from podstream_core.api import Codec, SessionSpec, SourceType, Stream, StreamSource
from podstream_workloads.agent import Connection, UnsupportedOffer
from podstream_workloads.media.encoders.settings import encoder_settings
from podstream_workloads.stream.webrtc.programme import Picture, PictureTrack, Programme
from podstream_workloads.stream.workload import StreamWorkload
from stream.rtc_clients import connected, media_context, new_peer, offer_of
from stream.test_workload import figures

pytestmark = pytest.mark.media

DRAWN = Stream(
    width=160, height=120, max_viewers=3, source=StreamSource(type=SourceType.SYNTHETIC, fps=30)
)


class Looking:
    """A stock receiver of one codec."""

    def __init__(self, codec: str) -> None:
        self.peer: RTCPeerConnection = new_peer()
        transceiver = self.peer.addTransceiver("video", direction="recvonly")
        known = RTCRtpReceiver.getCapabilities("video")
        assert known is not None
        transceiver.setCodecPreferences(
            [item for item in known.codecs if item.mimeType.upper() == f"VIDEO/{codec}"]
        )
        self._receiver = transceiver.receiver

    async def frame(self) -> VideoFrame:
        async with asyncio.timeout(40):
            found = await self._receiver.track.recv()
        assert isinstance(found, VideoFrame)
        return found


async def test_viewers_of_a_codec_share_one_encoder(tmp_path: Path) -> None:
    workload, context = StreamWorkload(), media_context(tmp_path)
    await workload.configure(SessionSpec(stream=DRAWN), context)
    viewers = [Looking("H264"), Looking("H264"), Looking("VP8")]
    async with contextlib.AsyncExitStack() as stack:
        for number, viewer in enumerate(viewers):
            await stack.enter_async_context(
                connected(workload, viewer.peer, protocol=Protocol.WHEP, name=f"v{number}")
            )
        for viewer in viewers:
            first, later = await viewer.frame(), None
            assert (first.width, first.height) == (160, 120)
            while later is None or np.array_equal(later.to_ndarray(), first.to_ndarray()):
                later = await viewer.frame()
        assert (await figures(workload)).viewers == 3
        assert workload.encoders == {Codec.H264, Codec.VP8}
        await viewers[0].peer.close()
        await context.reported("lost v0")
        await viewers[1].frame()
        assert (await figures(workload)).viewers == 2
    await workload.drain()
    assert (await figures(workload)).viewers == 0


async def test_an_offer_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    workload = StreamWorkload()
    await workload.configure(SessionSpec(stream=DRAWN), media_context(tmp_path))
    peer = new_peer()
    peer.addTransceiver("audio", direction="recvonly")
    viewer = Connection(id="v", role="viewer", protocol=Protocol.WHEP)
    with pytest.raises(UnsupportedOffer, match="video"):
        await workload.connect_whep(viewer, offer_sdp=await offer_of(peer))
    await peer.close()
    await workload.drain()


def picture(number: int, *, is_key: bool = False) -> Picture:
    return Picture([bytes([number])], number, is_key)


async def test_a_slow_viewer_goes_on_with_a_key_picture() -> None:
    track = PictureTrack()
    for number in range(3):
        track.give(picture(number))
    assert (track.needs_key, track.dropped) == (True, 3)
    track.give(picture(3, is_key=True))
    for number in range(4, 20):
        track.give(picture(number))
    assert track.needs_key, "its box was full: what follows cannot be shown"
    track.give(picture(20, is_key=True))
    track.give(picture(21))
    assert [(await track.recv()).time for _ in range(2)] == [20, 21]
    track.stop()


async def test_an_encoder_behind_leaves_frames_out() -> None:
    settings = encoder_settings(quality="Balanced", width=64, height=48, fps=30)
    programme, track = Programme(Codec.H264, settings=settings), PictureTrack()
    programme.show(np.zeros((48, 64, 3), np.uint8))
    await programme.close()
    assert programme.encoded == 0, "nobody looks"
    programme.add(track)
    for _ in range(50):
        programme.show(np.zeros((48, 64, 3), np.uint8))
    assert (await track.recv()).is_key
    await programme.close()
    assert programme.encoded < 50
    track.stop()
