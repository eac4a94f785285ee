"""A session that draws its frames itself: no client, recorded and looked at like any other."""

import asyncio
from pathlib import Path

import pytest

from podstream_core.agentapi import Protocol
from podstream_core.api import (
    LiveSpec,
    LiveStream,
    Recording,
    RecordingCodec,
    SessionSpec,
    SourceType,
    Stream,
    StreamSource,
    StreamState,
)
from podstream_workloads.stream.pattern import pattern
from stream.test_viewing import look, read
from stream.test_workload import configured, figures
from stream.videos import open_video


def drawn(*, frames: int = 0, fps: int = 100, recording: Recording | None = None) -> Stream:
    source = StreamSource(type=SourceType.SYNTHETIC, fps=fps, frames=frames)
    return Stream(width=64, height=48, source=source, recording=recording)


async def test_it_ends_after_its_frames_with_all_of_them_recorded(tmp_path: Path) -> None:
    spec = drawn(frames=30, recording=Recording(codec=RecordingCodec.MJPG))
    async with configured(tmp_path, spec=spec) as (workload, context):
        assert workload.is_finite
        assert workload.capacities == {"viewer": 1}
        await context.reported("done")
        await workload.drain()
        found = await workload.results()
        (artefact,) = found.artefacts
        assert open_video(artefact.path).frames == 30
        assert (await figures(workload)).frames_received == 30
        assert context.reports.count("first frame") == 1


async def test_it_is_looked_at(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=drawn()) as (workload, _):
        assert not workload.is_finite
        with await look(workload, Protocol.VIEW) as viewer:
            seen = {await read(viewer, 64 * 48 * 3) for _ in range(3)}
        frames = pattern(64, 48)
        known = {next(frames).tobytes() for _ in range(1000)}
        assert len(seen) == 3
        assert seen <= known


async def test_stopped_it_draws_for_nobody(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=drawn(frames=1000)) as (workload, context):
        await context.reported("first frame")
        await workload.update(LiveSpec(stream=LiveStream(state=StreamState.STOPPED)))
        before = await figures(workload)
        async with asyncio.timeout(20):
            while (await figures(workload)).frames_discarded <= before.frames_discarded:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await figures(workload)).frames_received == before.frames_received
        assert "done" not in context.reports


@pytest.mark.parametrize(
    ("stream", "needed"),
    [(Stream(), True), (drawn(), False)],
    ids=["pushed", "drawn"],
)
def test_only_a_pushed_stream_waits_for_a_client(stream: Stream, needed: bool) -> None:
    assert SessionSpec(stream=stream).needs_client is needed
