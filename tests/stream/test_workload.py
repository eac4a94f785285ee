"""The workload as its agent drives it: a raw TCP connection in, reports and figures out."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from fakes.context import Context
from podstream_core.agentapi import Protocol
from podstream_core.api import SessionSpec, Stream, StreamResults
from podstream_workloads.agent import Connection, SpecRejected, UnsupportedOffer
from podstream_workloads.stream.workload import StreamWorkload
from stream.test_geometry import natural

SIZE = 32 * 24 * 3


@asynccontextmanager
async def configured(
    folder: Path, *, width: int = 32, height: int = 24, spec: Stream | None = None
) -> AsyncIterator[tuple[StreamWorkload, Context]]:
    workload, context = StreamWorkload(), Context(folder)
    stream = spec or Stream(width=width, height=height)
    await workload.configure(SessionSpec(stream=stream), context)
    try:
        yield workload, context
    finally:
        await workload.drain()


async def connect(workload: StreamWorkload, number: int = 1) -> socket.socket:
    inner, outer = socket.socketpair()
    inner.setblocking(False)
    connection = Connection(id=f"c{number}", role="publisher", protocol=Protocol.TCP)
    await workload.connect_stream(connection, sock=inner)
    return outer


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.to_thread(sock.sendall, data)


async def figures(workload: StreamWorkload) -> StreamResults:
    found = (await workload.results()).figures
    assert isinstance(found, StreamResults)
    return found


async def test_a_publisher_comes_leaves_and_comes_again(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, context):
        assert context.reports == ["ready"]
        assert not workload.is_finite
        for number in (1, 2):
            with await connect(workload, number) as publisher:
                await send(publisher, bytes(SIZE * 3))
                await context.reported(f"established c{number}")
            await context.reported(f"lost c{number}")
        found = await figures(workload)
        assert (found.frames_received, found.bytes_received) == (6, 6 * SIZE)
        assert found.incomplete_frames == 0
        assert context.reports.count("first frame") == 1


async def test_a_client_cut_within_a_frame_does_not_corrupt_the_next(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, context):
        with await connect(workload) as publisher:
            await send(publisher, bytes(SIZE + SIZE // 2))
        await context.reported("lost c1")
        with await connect(workload, 2) as publisher:
            await send(publisher, bytes(SIZE))
        await context.reported("lost c2")
        found = await figures(workload)
        assert (found.frames_received, found.incomplete_frames) == (2, 1)


async def test_a_sheared_stream_is_reported(tmp_path: Path) -> None:
    async with configured(tmp_path, width=640, height=480) as (workload, context):
        with await connect(workload) as publisher:
            await send(publisher, natural(1280, 720).tobytes() * 4)
        await context.reported("lost c1")
        found = await figures(workload)
        assert found.frames_received == 12
        assert found.suspected_width == 1280


async def test_an_honest_stream_is_not(tmp_path: Path) -> None:
    async with configured(tmp_path, width=640, height=480) as (workload, context):
        with await connect(workload) as publisher:
            await send(publisher, natural(640, 480).tobytes() * 8)
        await context.reported("lost c1")
        found = await figures(workload)
        assert (found.frames_received, found.suspected_width) == (8, None)
        assert found.frames_per_second is not None


async def test_rate_is_that_of_the_arrivals(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, context):
        with await connect(workload) as publisher:
            for _ in range(5):
                await send(publisher, np.zeros(SIZE, np.uint8).tobytes())
                await asyncio.sleep(0.02)
            await context.reported("first frame")
            rate = (await figures(workload)).frames_per_second
            assert rate is not None
            assert 1 < rate < 60


async def test_another_protocol_is_refused(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, _):
        inner, outer = socket.socketpair()
        connection = Connection(id="c", role="publisher", protocol=Protocol.GRPC)
        with outer, pytest.raises(UnsupportedOffer, match="gRPC"):
            await workload.connect_stream(connection, sock=inner)


async def test_session_without_the_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecRejected, match=r"spec\.stream"):
        await StreamWorkload().configure(SessionSpec(), Context(tmp_path))


def test_a_pushed_stream_loads_neither_webrtc_nor_the_image_service() -> None:
    """A cold pod's first frame waits for what is imported: together they double it."""
    script = (
        "import podstream_workloads.stream.workload, sys; "
        "print({'aiortc', 'grpc'} & {*sys.modules})"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"
