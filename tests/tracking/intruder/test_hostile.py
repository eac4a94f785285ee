"""Malformed messages, bombs, floods and clients that do not read: bounded, others undisturbed."""

import asyncio
import io
import logging
import struct
import threading
import time
import zlib
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from podstream_workloads.tracking.intruder import IntruderEdgeSettings, Outcome, Verdict
from podstream_workloads.tracking.intruder.pictures import PictureLimits
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import (
    Answering,
    Device,
    NotTheWall,
    cloud_of,
    device,
    edge_of,
    eventually,
    jpeg,
    room,
)

NOWHERE = "http://127.0.0.1:9"


def png_bomb(width: int, height: int) -> bytes:
    """A PNG file of a few hundred bytes that claims as many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """A JPEG file whose frame header claims 65500 x 65500 pixels."""
    data = bytearray(jpeg(room()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG with one of its scans repeated 100 times."""
    done, encoded = cv2.imencode(
        ".jpg", room(portrait(person(1))), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    )
    assert done
    data = bytes(encoded)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * 100 + data[-2:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"no picture at all", id="text"),
        pytest.param(jpeg(room())[:200], id="cut-off-header"),
        pytest.param(b"\xff\xd8\xff" + b"\xff" * 1000, id="fill-bytes"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x00" * 500, id="empty-segments"),
        pytest.param(b"", id="empty"),
        pytest.param(png_bomb(60_000, 60_000), id="png-bomb"),
        pytest.param(png_bomb(0, 10), id="png-without-width"),
        pytest.param(jpeg_bomb(), id="jpeg-bomb"),
        pytest.param(many_scans(), id="many-scans"),
        pytest.param(b"BM" + bytes(2000), id="bmp"),
    ],
)
async def test_what_is_no_picture_is_logged_confirmed_and_not_searched(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    detector = NotTheWall()
    async with (
        edge_of(NOWHERE, detector=detector) as (edge, url),
        device(url) as camera,
    ):
        await camera.send("bad.jpg", data)
        await camera.until("frame_processed")
        assert camera.names("frame_processed") == ["bad.jpg"]
        assert "Failed to decode frame: bad.jpg" in caplog.messages
        assert (edge.results().undecodable, detector.looks) == (1, 0)

        await camera.send("good.jpg", jpeg(room()))
        await camera.until("frame_processed", 2)
        assert detector.looks == 1


@pytest.mark.parametrize(
    "message",
    [
        [],
        ["text"],
        [None],
        [[1, 2]],
        [{}],
        [{"frame_name": "a.jpg"}],
        [{"data": b"abc"}],
        [{"frame_name": 7, "data": b"abc"}],
        [{"frame_name": "a.jpg", "data": "text"}],
        [{"frame_name": "a.jpg", "data": [1, 2]}],
        [{"frame_name": "a.jpg", "data": b"abc"}, "more"],
    ],
    ids=str,
)
async def test_malformed_frame_events_are_refused_by_name(message: list[Any]) -> None:
    async with edge_of(NOWHERE) as (edge, url), device(url) as camera:
        await camera.client.emit("frame_event", tuple(message))
        await camera.until("frame_refused")
        assert camera.events[0][1]["reason"] == "malformed"
        assert edge.results().refused_by_reason == {"malformed": 1}
        await camera.send("good.jpg", jpeg(room()))
        await camera.until("frame_processed")


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(["4" + "2" + "[" * 60_000], id="deep"),
        pytest.param(['42["frame_event"' + ",1" * 200_000 + "]"], id="long"),
        pytest.param(["42"], id="no-data"),
        pytest.param(['42{"a":1}'], id="object"),
        pytest.param(["42[]"], id="no-name"),
        pytest.param(["42[7]"], id="number-as-name"),
        pytest.param(['42["connect",{}]'], id="event-connect"),
        pytest.param(['42["disconnect"]'], id="event-disconnect"),
        pytest.param(['459999999999-["frame_event",{"_placeholder":true,"num":0}]'], id="crowd"),
        pytest.param(['451-["frame_event",{"_placeholder":true,"num":5}]', b"x"], id="num-5"),
        pytest.param(['451-["frame_event",{"_placeholder":true,"num":"a"}]', b"x"], id="num-a"),
        pytest.param(['451-["frame_event",{}]', '42["frame_event"]'], id="text-for-attachment"),
        pytest.param(["4\U0001f600"], id="emoji"),
        pytest.param(["49"], id="kind-9"),
        pytest.param(["4"], id="empty-message"),
    ],
)
async def test_malformed_packets_cost_only_their_sender(
    packets: list[str | bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Raw Engine.IO over a WebSocket, as no stock client would send it."""
    async with (
        edge_of(NOWHERE) as (edge, url),
        device(url) as neighbour,
        aiohttp.ClientSession() as session,
    ):
        path = "/socket.io/?EIO=4&transport=websocket"
        async with session.ws_connect(url + path) as socket:
            await socket.receive_str()
            await socket.send_str("40")
            assert (await socket.receive_str()).startswith("40")
            for packet in packets:
                if isinstance(packet, str):
                    await socket.send_str(packet)
                else:
                    await socket.send_bytes(packet)
            await eventually(
                lambda: bool(edge.results().refused) or edge.results().connections == 1
            )
            await neighbour.send("good.jpg", jpeg(room()))
            await neighbour.until("frame_processed")
        await eventually(lambda: edge.results().connections == 1)
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) <= 1


async def test_oversize_frames_are_refused_and_reported() -> None:
    """Above the frame's limit: refused politely; above the message's: the socket goes."""
    settings = IntruderEdgeSettings(
        limits=PictureLimits(max_bytes=100_000), max_message_bytes=1_000_000
    )
    async with edge_of(NOWHERE, settings=settings) as (edge, url), device(url) as camera:
        await camera.send("big.jpg", bytes(200_000))
        await camera.until("frame_refused")
        assert camera.events[0][1] == {"frame_name": "big.jpg", "reason": "size"}

        await camera.send("huge.jpg", bytes(1_500_000))
        await camera.until("gone")
        await eventually(lambda: edge.results().refused_by_reason == {"size": 1, "message": 1})
        async with device(url) as again:
            await again.send("good.jpg", jpeg(room()))
            await again.until("frame_processed")


async def test_large_frames_pass_where_the_library_default_would_cut_them() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), np.uint8)
    data = jpeg(noise, 98)
    assert 1_000_000 < len(data) < 4_000_000
    async with edge_of(NOWHERE, detector=NotTheWall()) as (edge, url), device(url) as camera:
        await camera.send("large.jpg", data)
        await camera.until("frame_processed")
        assert edge.results().undecodable == 0


async def test_clients_that_can_only_poll_send_whole_frames() -> None:
    data = jpeg(np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8), 90)
    assert len(data) > 200_000
    async with edge_of(NOWHERE) as (edge, url):
        poller = Device()
        await poller.client.connect(url, transports=["polling"], wait_timeout=30)
        await poller.send("polled.jpg", data)
        await poller.until("frame_processed")
        assert edge.results().undecodable == 0
        await poller.client.disconnect()


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


async def test_a_detector_that_fails_does_not_end_the_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        if detector.looks == 1:
            raise RuntimeError("out of memory")

    detector = NotTheWall(before=fail)
    async with edge_of(NOWHERE, detector=detector) as (edge, url), device(url) as camera:
        for name in ("a.jpg", "b.jpg"):
            await camera.send(name, jpeg(room()))
        await camera.until("frame_processed", 2)
        assert (edge.results().failed, edge.results().processed) == (1, 2)
    assert "Looking at frame a.jpg failed" in caplog.messages


async def test_log_lines_hold_no_foreign_control_characters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with edge_of(NOWHERE) as (_, url), device(url) as camera:
        await camera.send("a\n2026-01-01 - INFO  - forged\x1b[31m" + "x" * 5000, b"no picture")
        await camera.until("frame_processed")
    lines = [message for message in caplog.messages if "forged" in message]
    assert lines
    assert all(line.isprintable() and len(line) < 300 for line in lines)


async def test_every_error_of_the_cloud_is_json(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with (
        cloud_of(Answering(Verdict(Outcome.KNOWN))) as (cloud, url),
        aiohttp.ClientSession(url) as session,
    ):

        async def asked(method: str, path: str, **given: Any) -> tuple[int, str]:
            async with session.request(method, path, **given) as answer:
                assert answer.content_type == "application/json"
                return answer.status, (await answer.json())["error"]

        def form(data: bytes) -> aiohttp.FormData:
            made = aiohttp.FormData()
            made.add_field("img", io.BytesIO(data), filename="frame.jpg")
            return made

        assert await asked("GET", "/nothing") == (404, "not found")
        assert await asked("GET", "/detect_intruder") == (405, "method not allowed")
        assert await asked("POST", "/detect_intruder", data=b"{}") == (400, "no image provided")
        broken = {"Content-Type": "multipart/form-data"}
        assert (await asked("POST", "/detect_intruder", data=b"x", headers=broken))[0] == 400
        broken["Content-Type"] += "; boundary=abc"
        assert (await asked("POST", "/detect_intruder", data=b"x", headers=broken))[0] == 400
        text = await asked("POST", "/detect_intruder", data=form(b"no picture"))
        assert text == (400, "the image is neither JPEG nor PNG")
        status, words = await asked("POST", "/detect_intruder", data=form(jpeg_bomb()))
        assert (status, "pixels" in words) == (400, True)
        assert (await asked("POST", "/detect_intruder", data=form(bytes(6_000_000))))[0] == 413
        many = aiohttp.FormData()
        for number in range(40):
            many.add_field(f"field{number}", "x", content_type="text/plain")
        assert await asked("POST", "/detect_intruder", data=many) == (400, "more than 16 fields")
        assert cloud.results().refused == 9


async def test_a_cloud_with_all_hands_full_says_so() -> None:
    recogniser = Answering(Verdict(Outcome.KNOWN), delay_s=600)
    async with (
        cloud_of(recogniser) as (cloud, url),
        aiohttp.ClientSession(url) as session,
    ):

        async def ask() -> int:
            form = aiohttp.FormData()
            form.add_field("img", jpeg(room()), filename="frame.jpg")
            async with session.post("/detect_intruder", data=form) as answer:
                return answer.status

        asks = [asyncio.create_task(ask()) for _ in range(8)]
        await eventually(lambda: len(recogniser.asked) == 8)
        assert await ask() == 503
        for task in asks:
            task.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        assert cloud.results().refused == 1
