"""Viewers beside a publisher: who sees what, and that nobody waits for the slow one."""

import asyncio
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from podstream_core.agentapi import Protocol
from podstream_core.api import Stream
from podstream_core.names import MJPEG_BOUNDARY as BOUNDARY
from podstream_workloads.agent import Connection, UnsupportedOffer
from podstream_workloads.stream.viewing import FORMATS
from podstream_workloads.stream.workload import StreamWorkload
from stream.test_workload import configured, connect, figures, send
from stream.videos import steps

WIDTH, HEIGHT = 64, 48
SIZE = WIDTH * HEIGHT * 3
LARGE = 1280 * 720 * 3


async def look(workload: StreamWorkload, protocol: Protocol, *, name: str = "v1") -> socket.socket:
    inner, outer = socket.socketpair()
    inner.setblocking(False)
    connection = Connection(id=name, role="viewer", protocol=protocol)
    await workload.connect_stream(connection, sock=inner)
    return outer


async def read(sock: socket.socket, count: int) -> bytes:
    def exactly() -> bytes:
        sock.settimeout(20)
        data = b""
        while len(data) < count:
            part = sock.recv(count - len(data))
            assert part, f"ended after {len(data)} of {count} bytes"
            data += part
        return data

    return await asyncio.to_thread(exactly)


async def part(sock: socket.socket) -> bytes:
    """One JPEG of an MJPEG stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await read(sock, 1)
    lines = head.decode().split("\r\n")
    assert lines[:2] == [f"--{BOUNDARY}", "Content-Type: image/jpeg"]
    picture = await read(sock, int(lines[2].removeprefix("Content-Length: ")))
    assert await read(sock, 2) == b"\r\n"
    return picture


async def test_two_viewers_get_every_frame_bit_by_bit(tmp_path: Path) -> None:
    async with configured(tmp_path, width=WIDTH, height=HEIGHT) as (workload, context):
        viewers = [await look(workload, Protocol.VIEW, name=name) for name in ("v1", "v2")]
        for name in ("v1", "v2"):
            await context.reported(f"established {name}")
        with await connect(workload) as publisher:
            for frame in steps(WIDTH, HEIGHT, 20):
                await send(publisher, frame.tobytes())
                for viewer in viewers:
                    assert await read(viewer, SIZE) == frame.tobytes()
        for viewer in viewers:
            viewer.close()
        await context.reported("lost v1")
        await context.reported("lost v2")
        assert (await figures(workload)).viewers == 0


async def test_a_browser_gets_jpeg_pictures(tmp_path: Path) -> None:
    async with configured(tmp_path, width=WIDTH, height=HEIGHT) as (workload, context):
        with await look(workload, Protocol.MJPEG) as viewer, await connect(workload) as publisher:
            await context.reported("established v1")
            for frame in steps(WIDTH, HEIGHT, 3):
                await send(publisher, frame.tobytes())
                data = np.frombuffer(await part(viewer), np.uint8)
                seen = cv2.imdecode(data, cv2.IMREAD_COLOR)
                assert seen is not None
                assert seen.shape == frame.shape
                assert abs(int(seen.mean()) - int(frame.mean())) <= 2
            assert (await figures(workload)).viewers == 1


async def test_a_viewer_that_does_not_read_costs_frames_of_its_own_only(tmp_path: Path) -> None:
    async with configured(tmp_path, width=1280, height=720) as (workload, context):
        slow = await look(workload, Protocol.VIEW)
        await context.reported("established v1")
        with await connect(workload) as publisher:
            async with asyncio.timeout(20):
                for number in range(40):
                    await send(publisher, bytes([number]) * LARGE)
        await context.reported("lost c1")
        assert (await figures(workload)).frames_received == 40
        seen = [(await read(slow, LARGE))[0] for _ in range(9)]
        slow.close()
        assert seen[0] == 0  # in the socket
        assert seen[1:] == list(range(32, 40))  # in the box: the newest


async def test_who_comes_late_sees_what_comes_then(tmp_path: Path) -> None:
    async with configured(tmp_path, width=WIDTH, height=HEIGHT) as (workload, context):
        with await connect(workload) as publisher:
            await send(publisher, bytes([1]) * SIZE)
            await context.reported("first frame")
            with await look(workload, Protocol.VIEW) as viewer:
                await context.reported("established v1")
                await send(publisher, bytes([2]) * SIZE)
                assert await read(viewer, SIZE) == bytes([2]) * SIZE


async def test_viewers_are_let_go_when_the_session_ends(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, context):
        with await look(workload, Protocol.MJPEG) as viewer:
            await context.reported("established v1")
            await workload.drain()
            assert await asyncio.to_thread(viewer.recv, 1) == b""


async def test_the_spec_says_how_many_may_look(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=Stream(max_viewers=7)) as (workload, _):
        assert workload.capacities == {"publisher": 1, "viewer": 7}


@pytest.mark.parametrize(
    ("role", "protocol"),
    [("viewer", Protocol.TCP), ("publisher", Protocol.MJPEG), ("publisher", Protocol.VIEW)],
)
async def test_nobody_gets_the_other_s_part(tmp_path: Path, role: str, protocol: Protocol) -> None:
    async with configured(tmp_path) as (workload, _):
        inner, outer = socket.socketpair()
        connection = Connection(id="c", role=role, protocol=protocol)
        with outer, pytest.raises(UnsupportedOffer):
            await workload.connect_stream(connection, sock=inner)


@pytest.mark.parametrize(
    ("width", "height", "wait"), [(640, 480, 8), (1920, 1080, 5), (7680, 4320, 1)]
)
def test_large_frames_wait_in_small_numbers(width: int, height: int, wait: int) -> None:
    assert FORMATS[Protocol.VIEW].box_size(width * height * 3) == wait
    assert FORMATS[Protocol.MJPEG].box_size(width * height * 3) == 1
