"""Operations on a stream's frames beside its way: who gets what, and that nobody waits for them."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from podstream_core.agentapi import Protocol
from podstream_core.api import (
    FrameChoice,
    PostProcess,
    Recording,
    RecordingCodec,
    SessionSpec,
    Stream,
)
from podstream_workloads.agent import SpecRejected
from podstream_workloads.imageops.streaming.applying import process
from podstream_workloads.imageops.streaming.chain import plan
from podstream_workloads.stream.processing.processor import Processor
from podstream_workloads.stream.workload import StreamWorkload
from stream.rtc_clients import media_context
from stream.test_viewing import look, read
from stream.test_workload import configured, connect, figures, send
from stream.videos import open_video

WIDTH, HEIGHT = 64, 48
FRAME = np.arange(WIDTH * HEIGHT * 3, dtype=np.uint32).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)


def spec(
    *operations: str,
    viewers: FrameChoice = FrameChoice.PROCESSED,
    recording: FrameChoice = FrameChoice.RAW,
    codec: RecordingCodec = RecordingCodec.MJPG,
) -> Stream:
    return Stream(
        width=WIDTH,
        height=HEIGHT,
        max_viewers=2,
        post_process=PostProcess(operations=list(operations), viewers=viewers, recording=recording),
        recording=Recording(codec=codec),
    )


async def test_viewers_see_the_result_and_the_recording_has_what_came(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=spec("turn=2", "resize=32x24")) as (workload, context):
        with await look(workload, Protocol.VIEW) as viewer, await connect(workload) as publisher:
            await send(publisher, FRAME.tobytes())
            seen = await read(viewer, 32 * 24 * 3)
            await context.reported("established c1")
        chain = plan(["turn=2", "resize=32x24"], width=WIDTH, height=HEIGHT)
        assert seen == process(FRAME, chain).tobytes()
        await context.reported("lost c1")
        found = await figures(workload)
        assert (found.frames_received, found.frames_processed) == (1, 1)
        await workload.drain()
        (artefact,) = (await workload.results()).artefacts
    video = open_video(artefact.path)
    assert (video.frames, video.width, video.height) == (1, WIDTH, HEIGHT)


async def test_the_recording_may_have_the_result_and_viewers_what_came(tmp_path: Path) -> None:
    stream = spec("turn=1", "gray", viewers=FrameChoice.RAW, recording=FrameChoice.PROCESSED)
    async with configured(tmp_path, spec=stream) as (workload, context):
        with await look(workload, Protocol.VIEW) as viewer, await connect(workload) as publisher:
            await send(publisher, FRAME.tobytes())
            assert await read(viewer, FRAME.size) == FRAME.tobytes()
            await processed(workload, 1)
        await context.reported("lost c1")
        await workload.drain()
        (artefact,) = (await workload.results()).artefacts
    video = open_video(artefact.path)
    assert (video.frames, video.width, video.height) == (1, HEIGHT, WIDTH)


async def processed(workload: StreamWorkload, frames: int) -> None:
    async with asyncio.timeout(40):
        while (await figures(workload)).frames_processed < frames:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_operations_that_are_too_slow_cost_ingest_no_frame(tmp_path: Path) -> None:
    """More frames than the operations have time for: all are counted and recorded, some processed.

    Sixteen large blurs take more than ten times what it takes to push a frame.
    """
    stream = spec(*["gaussian=30"] * 16)
    async with configured(tmp_path, spec=stream) as (workload, context):
        with await connect(workload) as publisher:
            await send(publisher, FRAME.tobytes())
            await processed(workload, 1)
            await send(publisher, FRAME.tobytes() * 300)
        await context.reported("lost c1")
        found = await figures(workload)
        assert found.frames_received == 301
        assert found.frames_processed < 301
        await workload.drain()
        recording = (await figures(workload)).recording
        assert recording is not None
        assert recording.frames + recording.frames_dropped == 301


@pytest.mark.parametrize(
    ("operations", "codec", "words"),
    [
        pytest.param(["spin=3"], RecordingCodec.MJPG, "spin", id="unknown"),
        pytest.param(["crop=99x99+0+0"], RecordingCodec.MJPG, "operation 1", id="too-large"),
        pytest.param(["resize=31x24"], RecordingCodec.H264, "even", id="odd-size"),
    ],
)
async def test_what_does_not_fit_is_refused(
    tmp_path: Path, operations: list[str], codec: RecordingCodec, words: str
) -> None:
    stream = spec(*operations, recording=FrameChoice.PROCESSED, codec=codec)
    with pytest.raises(SpecRejected, match=words):
        await StreamWorkload().configure(SessionSpec(stream=stream), media_context(tmp_path))


async def test_a_process_that_dies_is_started_again_and_at_last_given_up() -> None:
    done, failures = asyncio.Queue[bytes](), asyncio.Queue[str]()
    chain = plan(["flip=h"], width=WIDTH, height=HEIGHT)
    processor = Processor(
        chain,
        size=(WIDTH, HEIGHT),
        on_frame=lambda frame: done.put_nowait(frame.tobytes()),
        on_failure=failures.put_nowait,
    )
    async with asyncio.timeout(60):
        processor.offer(FRAME)
        assert await done.get() == FRAME[:, ::-1].tobytes()
        processor.kill()
        while done.empty():
            processor.offer(FRAME)
            await asyncio.sleep(0.01)
        while failures.empty():
            processor.kill()
            processor.offer(FRAME)
            await asyncio.sleep(0.001)
        assert "3 times in a row" in await failures.get()
        await processor.close()
