"""A workload that records: frames through a socket, files among its artefacts."""

import os
import re
from pathlib import Path

from podstream_core.api import Recording, Stream
from podstream_workloads.agent import WorkloadResults
from podstream_workloads.stream.workload import StreamWorkload
from stream.test_workload import configured, connect, figures, send
from stream.videos import level, open_video, steps

SIZE = (64, 48)
RECORDED = Stream(width=64, height=48, recording=Recording())


async def push(workload: StreamWorkload, count: int, *, number: int = 1) -> None:
    with await connect(workload, number) as publisher:
        for frame in steps(*SIZE, count):
            await send(publisher, frame.tobytes())


async def drained(workload: StreamWorkload) -> WorkloadResults:
    await workload.drain()
    return await workload.results()


async def test_what_is_pushed_is_recorded_as_the_original_does(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=RECORDED) as (workload, context):
        assert (await figures(workload)).recording is not None
        await push(workload, 20)
        await context.reported("lost c1")
        found = await drained(workload)
        (artefact,) = found.artefacts
        assert re.fullmatch(r"u_video_\d\d_[A-Z][a-z]{2}_\d\d_\d\d_\d\d\.avi", artefact.name)
        video = open_video(artefact.path)
        assert (video.tag, video.frames, video.width, video.height) == ("XVID", 20, 64, 48)
        assert all(abs(seen - level(n)) <= 8 for n, seen in enumerate(video.levels))
        figures_ = await figures(workload)
        assert [item.name for item in figures_.recordings] == [artefact.name]
        assert figures_.recordings[0].sha256 == artefact.sha256


async def test_a_publisher_that_comes_again_goes_on_in_the_same_file(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=RECORDED) as (workload, context):
        for number in (1, 2):
            await push(workload, 5, number=number)
            await context.reported(f"lost c{number}")
        (artefact,) = (await drained(workload)).artefacts
        assert open_video(artefact.path).frames == 10


async def test_a_recording_that_cannot_be_written_leaves_the_stream_alone(tmp_path: Path) -> None:
    (tmp_path / "no-folder").write_text("")
    async with configured(tmp_path / "no-folder", spec=RECORDED) as (workload, context):
        await push(workload, 5)
        await context.reported("lost c1")
        await workload.drain()
        found = await figures(workload)
        assert found.frames_received == 5
        assert found.recording is not None
        assert (found.recording.active, found.recording.stop_reason) == (False, "StorageFailed")


async def test_without_a_recording_nothing_is_kept(tmp_path: Path) -> None:
    async with configured(tmp_path, width=64, height=48) as (workload, context):
        await push(workload, 3)
        await context.reported("lost c1")
        found = await drained(workload)
        assert found.artefacts == ()
        assert (await figures(workload)).recording is None
        assert os.listdir(tmp_path) == []
