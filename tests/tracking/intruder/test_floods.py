"""Floods, crowds and sockets that do not read or hang up: bounded, others undisturbed."""

import asyncio
import threading
import time

import aiohttp
import pytest

from podstream_workloads.tracking.intruder import IntruderEdgeSettings, Outcome, Verdict
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import (
    Answering,
    NotTheWall,
    cloud_of,
    device,
    edge_of,
    eventually,
    jpeg,
    room,
)

NOWHERE = "http://127.0.0.1:9"


async def test_a_flood_loses_its_own_oldest_frames_and_nobody_elses() -> None:
    """The detector is held until all is sent: 32 of the flood stay, every frame of the others."""
    free = threading.Event()
    detector = NotTheWall(before=lambda: free.wait(60))
    settings = IntruderEdgeSettings(camera_burst=1000)
    async with (
        edge_of(NOWHERE, detector=detector, settings=settings) as (edge, url),
        device(url) as flood,
        device(url) as calm,
    ):
        empty = jpeg(room())
        await calm.send("calm0.jpg", empty)
        await eventually(lambda: detector.looks == 1)
        for number in range(200):
            await flood.send(f"flood{number}.jpg", empty)
        await calm.send("calm1.jpg", empty)
        await calm.send("calm2.jpg", empty)
        await eventually(lambda: edge.results().frames == 203)
        assert edge.results().dropped == 200 - 32
        free.set()
        await calm.until("frame_processed", 3)
        await flood.until("frame_processed", 32)

        assert calm.names("frame_processed") == ["calm0.jpg", "calm1.jpg", "calm2.jpg"]
        assert flood.names("frame_processed") == [f"flood{n}.jpg" for n in range(168, 200)]
        assert flood.names("frame_refused") == [f"flood{n}.jpg" for n in range(168)]
        figures = edge.results()
        assert (figures.frames, figures.processed, figures.dropped) == (203, 35, 168)


@pytest.mark.parametrize("data", [b"x", "text"], ids=["frames", "malformed"])
async def test_a_socket_over_its_rate_is_slowed_down(data: bytes | str) -> None:
    settings = IntruderEdgeSettings(camera_frames_per_s=20, camera_burst=5)
    async with edge_of(NOWHERE, settings=settings) as (edge, url), device(url) as flood:
        begun = time.monotonic()
        for number in range(25):
            await flood.send(f"f{number}.jpg", data)
        await eventually(lambda: edge.results().frames + edge.results().refused == 25)
        assert time.monotonic() - begun > 0.5  # 20 over the burst, of which each costs a pause
        reason = "rate" if isinstance(data, bytes) else "malformed"
        assert edge.results().refused_by_reason[reason] > 0


async def test_a_socket_that_does_not_hang_up_is_cut() -> None:
    """The server has ended it; the peer neither reads nor closes."""
    async with edge_of(NOWHERE) as (edge, url):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: edge\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        writer.write(b"\x81\x82\0\0\0\0" + b"40")  # a masked text frame: CONNECT
        await eventually(lambda: edge.results().connections == 1)
        writer.write(b"\x81\x82\0\0\0\0" + b"41")  # DISCONNECT, and then nothing
        await eventually(lambda: edge.results().connections == 0)
        async with asyncio.timeout(60):
            while await reader.read(65536):
                pass
        writer.close()


async def test_waiting_bytes_are_bounded_over_all_cameras() -> None:
    free = threading.Event()
    detector = NotTheWall(before=lambda: free.wait(60))
    settings = IntruderEdgeSettings(max_waiting_bytes=300_000)
    async with (
        edge_of(NOWHERE, detector=detector, settings=settings) as (edge, url),
        device(url) as first,
        device(url) as second,
    ):
        await first.send("held.jpg", jpeg(room()))
        await eventually(lambda: detector.looks == 1)
        for number in range(10):
            await first.send(f"a{number}.jpg", bytes(90_000))
        await second.send("b.jpg", jpeg(room()))
        await eventually(lambda: edge.results().frames == 12)
        assert edge.results().waiting <= 4
        free.set()
        await second.until("frame_processed")
        assert second.count("frame_refused") == 0


async def test_a_new_camera_connects_at_once_while_the_detector_is_busy() -> None:
    """200 ms is the aim; the bound here is the detector's time, which a blocked loop would take."""
    free = threading.Event()
    detector = NotTheWall(before=lambda: free.wait(60))
    async with edge_of(NOWHERE, detector=detector) as (edge, url), device(url) as busy:
        await busy.send("held.jpg", jpeg(room()))
        await eventually(lambda: detector.looks == 1)
        begun = time.monotonic()
        async with device(url) as camera:
            print(f"connected in {(time.monotonic() - begun) * 1e3:.0f} ms")
            await camera.send("f.jpg", jpeg(room()))
            await eventually(lambda: edge.results().frames == 2)
            assert edge.results().processed == 0  # all of this while the detector is held
            free.set()
            await camera.until("frame_processed")


async def test_no_more_sockets_than_allowed() -> None:
    settings = IntruderEdgeSettings(max_connections=2)
    async with (
        edge_of(NOWHERE, settings=settings) as (edge, url),
        device(url) as one,
        device(url),
    ):
        with pytest.raises(Exception, match="failed to connect"):
            async with device(url):
                pass
        assert edge.results().connections == 2
        await one.client.disconnect()
        await eventually(lambda: edge.results().connections == 1)
        async with device(url):
            assert edge.results().connections == 2


async def test_half_open_connections_are_bounded() -> None:
    settings = IntruderEdgeSettings(max_connections=2)
    async with edge_of(NOWHERE, settings=settings) as (_, url), aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(8):
            async with session.get(f"{url}/socket.io/?EIO=4&transport=polling") as answer:
                statuses.append(answer.status)
        assert statuses == [200] * 4 + [503] * 4


async def test_a_camera_that_goes_away_leaves_its_frames_to_be_looked_at() -> None:
    free = threading.Event()
    detector = NotTheWall(before=lambda: free.wait(60))
    async with (
        cloud_of(Answering(Verdict(Outcome.UNKNOWN))) as (_, cloud_url),
        edge_of(cloud_url, detector=detector) as (edge, url),
        device(url) as alarm,
    ):
        async with device(url) as camera:
            await camera.send("empty.jpg", jpeg(room()))
            await camera.send("stranger.jpg", jpeg(room(portrait(person(20)))))
            await eventually(lambda: edge.results().frames == 2)
        await eventually(lambda: edge.results().connections == 1)
        free.set()
        await alarm.until("alarm_event")
