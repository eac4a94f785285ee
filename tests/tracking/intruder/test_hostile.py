"""Malformed and oversize messages, and bombs: refused, logged, others undisturbed."""

from typing import Any

import aiohttp
import numpy as np
import pytest

from podstream_workloads.tracking.intruder import IntruderEdgeSettings
from podstream_workloads.tracking.intruder.pictures import PictureLimits
from tracking.intruder.bombs import jpeg_bomb, many_scans, png_bomb
from tracking.intruder.site_of import Device, NotTheWall, device, edge_of, eventually, jpeg, room

NOWHERE = "http://127.0.0.1:9"


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
