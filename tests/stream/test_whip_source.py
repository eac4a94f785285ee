"""A session whose frames a client publishes over WebRTC."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fakes.context import Context
from podstream_core.agentapi import Protocol
from podstream_core.api import (
    Recording,
    RecordingCodec,
    SessionSpec,
    SourceType,
    Stream,
    StreamSource,
)
from podstream_workloads.agent import BadOffer, Connection, UnsupportedOffer
from podstream_workloads.stream.workload import StreamWorkload
from stream.rtc_clients import Greys, connected, media_context, new_peer, offer_of
from stream.test_viewing import look, read
from stream.test_workload import figures
from stream.videos import open_video

pytestmark = pytest.mark.media

SIZE = (160, 120)


@asynccontextmanager
async def published(folder: Path) -> AsyncIterator[tuple[StreamWorkload, Context]]:
    source = StreamSource(type=SourceType.WHIP)
    stream = Stream(
        width=SIZE[0],
        height=SIZE[1],
        source=source,
        recording=Recording(codec=RecordingCodec.MJPG),
    )
    workload, context = StreamWorkload(), media_context(folder)
    await workload.configure(SessionSpec(stream=stream), context)
    try:
        yield workload, context
    finally:
        await workload.drain()


async def came(workload: StreamWorkload, frames: int) -> None:
    async with asyncio.timeout(40):
        while (await figures(workload)).frames_received < frames:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_published_video_is_seen_recorded_and_counted(tmp_path: Path) -> None:
    async with published(tmp_path) as (workload, context):
        assert not workload.is_finite
        assert workload.capacities == {"publisher": 1, "viewer": 1}
        peer = new_peer()
        peer.addTransceiver(Greys(), direction="sendonly")
        async with connected(workload, peer, protocol=Protocol.WHIP, name="c1"):
            await context.reported("established c1")
            await context.reported("first frame")
            with await look(workload, Protocol.VIEW) as viewer:
                picture = await read(viewer, SIZE[0] * SIZE[1] * 3)
            assert 55 <= sum(picture) / len(picture) <= 165
            await came(workload, 20)
            source = (await figures(workload)).source
            assert source is not None
            assert (source.connected, source.connections) == (True, 1)
            assert source.codec in {"H264", "VP8"}
            assert (source.width, source.height) == (320, 240)
        await context.reported("lost c1")
        source = (await figures(workload)).source
        assert source is not None
        assert not source.connected
        await workload.drain()
        found = await figures(workload)
        (artefact,) = (await workload.results()).artefacts
    video = open_video(artefact.path)
    assert (video.width, video.height) == SIZE
    assert video.frames == found.frames_received


async def test_a_publisher_comes_again(tmp_path: Path) -> None:
    async with published(tmp_path) as (workload, context):
        for number in (1, 2):
            peer = new_peer()
            peer.addTransceiver(Greys(), direction="sendonly")
            before = (await figures(workload)).frames_received
            name = f"c{number}"
            async with connected(workload, peer, protocol=Protocol.WHIP, name=name):
                await context.reported(f"established {name}")
                await came(workload, before + 3)
                await workload.disconnect(name)
        source = (await figures(workload)).source
        assert source is not None
        assert source.connections == 2


async def test_offers_are_checked(tmp_path: Path) -> None:
    async with published(tmp_path) as (workload, _):
        peer = new_peer()
        peer.addTransceiver("video", direction="recvonly")
        with pytest.raises(UnsupportedOffer, match="sendonly"):
            async with connected(workload, peer, protocol=Protocol.WHIP, name="c"):
                pass
        with pytest.raises(BadOffer):
            await workload.connect_whep(_connection(), offer_sdp="junk")
        inner, outer = socket.socketpair()
        pushing = Connection(id="t", role="publisher", protocol=Protocol.TCP)
        with outer, pytest.raises(UnsupportedOffer, match="TCP"):
            await workload.connect_stream(pushing, sock=inner)


async def test_a_pushed_session_takes_no_video(tmp_path: Path) -> None:
    workload = StreamWorkload()
    await workload.configure(SessionSpec(stream=Stream()), media_context(tmp_path))
    peer = new_peer()
    peer.addTransceiver("video", direction="sendonly")
    with pytest.raises(UnsupportedOffer, match=r"source\.type"):
        await workload.connect_whep(_connection(), offer_sdp=await offer_of(peer))
    await peer.close()
    await workload.drain()


def _connection() -> Connection:
    return Connection(id="c", role="publisher", protocol=Protocol.WHIP)


def test_a_published_stream_waits_for_its_client() -> None:
    stream = Stream(source=StreamSource(type=SourceType.WHIP))
    assert SessionSpec(stream=stream).needs_client
    assert SessionSpec(stream=stream).is_published
