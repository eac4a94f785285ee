"""Image operations on the frames of the session's stream, in a process that may die."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakes.context import Context
from podstream_core import names
from podstream_core.api import ImageOps, ImageOpsResults, ImageStream, SessionSpec, Stream
from podstream_workloads.agent import SpecRejected
from podstream_workloads.imageops.streaming.chain import plan
from podstream_workloads.imageops.streaming.runner import StreamOperations
from podstream_workloads.imageops.workload import ImageOpsWorkload
from podstream_workloads.sharing import FrameServer

pytestmark = pytest.mark.media

SIZE = (64, 48)
FRAME = np.arange(64 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)


class Source:
    """A stream of one picture, a frame whenever it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.server = FrameServer(folder / names.SHARED_FRAMES)
        self.frames = 0

    def show(self) -> None:
        self.frames += 1
        self.server.offer(FRAME, sequence=self.frames, at=time.monotonic())

    async def until(self, true: Callable[[], bool]) -> None:
        """Show frames until something is true."""
        async with asyncio.timeout(60):
            while not true():
                self.show()
                await asyncio.sleep(0.01)


async def becomes(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def source(folder: Path) -> AsyncIterator[Source]:
    made = Source(folder)
    made.server.open()
    try:
        yield made
    finally:
        made.server.close()


async def test_frames_go_through_the_chain_and_the_last_one_is_kept(tmp_path: Path) -> None:
    workload, context = ImageOpsWorkload(), Context(tmp_path)
    wanted = ImageStream(operations=["crop=32x24+0+0", "flip=h"])
    spec = SessionSpec(
        stream=Stream(width=SIZE[0], height=SIZE[1]), image_ops=ImageOps(stream=wanted)
    )
    async with source(tmp_path) as stream:
        try:
            await workload.configure(spec, context)
            await context.reported("ready")
            assert not workload.is_finite
            assert workload.capacities == {"caller": 1}

            async def frames() -> int:
                found = (await workload.results()).figures
                assert isinstance(found, ImageOpsResults)
                assert found.stream is not None
                return found.stream.frames

            async with asyncio.timeout(60):
                while await frames() < 5:
                    stream.show()
                    await asyncio.sleep(0.01)
            assert "first frame" in context.reports
        finally:
            await workload.drain()
        results = await workload.results()
        figures = results.figures
        assert isinstance(figures, ImageOpsResults)
        found = figures.stream
        assert found is not None
        assert (found.width, found.height) == (32, 24)
        assert (found.failed, found.restarts) == (0, 0)
        assert 5 <= found.frames + found.dropped <= stream.frames
        assert found.latency_ms is not None
        assert figures.calls == 0, "calls are the services'"
        (artefact,) = results.artefacts
        assert artefact.name == "frame.png"
        picture = cv2.imread(str(artefact.path))
        assert picture is not None
        assert np.array_equal(picture, FRAME[:24, 31::-1])


async def test_operations_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    workload = ImageOpsWorkload()
    wanted = ImageStream(operations=["crop=320x240+0+0"])
    spec = SessionSpec(
        stream=Stream(width=SIZE[0], height=SIZE[1]), image_ops=ImageOps(stream=wanted)
    )
    try:
        with pytest.raises(SpecRejected, match=r"imageOps\.stream\.operations: operation 1"):
            await workload.configure(spec, Context(tmp_path))
    finally:
        await workload.drain()


@asynccontextmanager
async def operations(folder: Path) -> AsyncIterator[tuple[StreamOperations, list[str]]]:
    said: list[str] = []
    made = StreamOperations(
        plan(["gray"], width=SIZE[0], height=SIZE[1]),
        frames=folder / names.SHARED_FRAMES,
        size=SIZE,
        picture=folder / "frame.png",
        on_ready=lambda: said.append("ready"),
        on_change=lambda: None,
        on_failure=said.append,
    )
    made.start()
    try:
        yield made, said
    finally:
        await made.close()


async def test_a_crash_costs_a_frame_and_the_others_go_on(tmp_path: Path) -> None:
    async with source(tmp_path) as stream, operations(tmp_path) as (work, said):
        await stream.until(lambda: work.frames >= 3)
        work.kill()
        before = work.frames
        await stream.until(lambda: work.results().restarts == 1 and work.frames >= before + 3)
        found = work.results()
        assert said == ["ready", "ready"]
        assert found.frames + found.dropped <= stream.frames
        assert found.failed == 0


async def test_crashes_without_a_frame_are_told(tmp_path: Path) -> None:
    async with source(tmp_path), operations(tmp_path) as (work, said):
        for count in (1, 2, 3):
            await becomes(lambda count=count: len(said) == count)  # type: ignore[misc]
            work.kill()
        await becomes(lambda: len(said) == 4)
    assert said[:3] == ["ready"] * 3
    assert "3 times in a row" in said[3]
