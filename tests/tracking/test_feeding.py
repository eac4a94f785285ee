"""A camera whose pictures are the frames of the session's stream."""

import asyncio
import time
from pathlib import Path

import numpy as np

from fakes.context import Context
from podstream_core import names
from podstream_core.api import SessionSpec, TrackingResults
from podstream_workloads.sharing import FrameReader, FrameServer
from podstream_workloads.tracking.edge.latest import LatestFrame
from podstream_workloads.tracking.members.feeding import StreamFeed
from podstream_workloads.tracking.workload import TrackingWorkload

CAMERA = {"id": "desk", "fps": 60, "source": {"type": "Stream"}}
WIDTH, HEIGHT = 320, 240


def scene(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A grey room in which somebody walks from left to right."""
    rng = np.random.default_rng(3)
    picture = rng.integers(100, 116, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    x = 4 * number % (WIDTH - 40)
    picture[80:200, x : x + 40] = (30, 60, 200)
    return picture


async def test_who_moves_in_the_stream_is_followed_without_a_site(tmp_path: Path) -> None:
    server = FrameServer(tmp_path / names.SHARED_FRAMES)
    server.open()
    workload, context = TrackingWorkload(), Context(tmp_path)
    spec = SessionSpec.from_body({"stream": {}, "tracking": {"camera": CAMERA}})

    async def figures() -> TrackingResults:
        found = (await workload.results()).figures
        assert isinstance(found, TrackingResults)
        return found

    number = 0
    try:
        await workload.configure(spec, context)
        assert workload.capacities == {}
        assert not workload.is_finite
        async with asyncio.timeout(60):
            while True:
                number += 1
                server.offer(scene(number), sequence=number, at=time.monotonic())
                await asyncio.sleep(1 / 50)
                camera = (await figures()).camera
                assert camera is not None
                if camera.tracks and camera.present:
                    break
        await context.reported("first frame")
    finally:
        await workload.drain()
        server.close()
    camera = (await figures()).camera
    assert camera is not None
    assert not camera.connected
    assert camera.sent == 0
    assert camera.message is None
    # Each was worked on or is accounted for, but for those in hand when the end came.
    assert number - 2 <= camera.frames + camera.dropped + camera.skipped <= number


async def test_no_more_frames_are_copied_than_the_rate_wants(tmp_path: Path) -> None:
    server = FrameServer(tmp_path / names.SHARED_FRAMES)
    server.open()
    box = LatestFrame()
    reader = await asyncio.to_thread(FrameReader.connect, tmp_path / names.SHARED_FRAMES)
    feed = StreamFeed(reader, frames=box, fps=10)
    feed.start()
    try:
        async with asyncio.timeout(20):
            while not server.readers:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.005)
            for number in range(1, 31):  # a second of 30 frames by their times
                server.offer(scene(number), sequence=number, at=1000 + number / 30)
                while feed.skipped + feed.dropped + box.received < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
    finally:
        await asyncio.to_thread(feed.close)
        server.close()
    assert (box.received, feed.skipped, feed.dropped) == (10, 20, 0)
    assert box.get(0) is not None
    assert box.get(0) is None, "the end of the stream is the end of the box"
