"""A whole camera: file or fed pictures, threads, and a site that listens."""

import asyncio
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from podstream_workloads.tracking.edge.camera import Camera, CameraSettings
from podstream_workloads.tracking.edge.capture import Capture
from podstream_workloads.tracking.edge.detectors.base import Detection, Picture
from podstream_workloads.tracking.edge.latest import Frame, LatestFrame
from podstream_workloads.tracking.edge.pipeline import Pipeline
from podstream_workloads.tracking.edge.settings import (
    EdgeSettings,
    ProcessorSettings,
    SourceSettings,
    SourceType,
)
from podstream_workloads.tracking.edge.synthetic import drawn
from podstream_workloads.tracking.metrics import write_mot
from tracking.scenes.walkers import Scene, Walker, across

NOBODY = ProcessorSettings("ws://127.0.0.1:1/processor", "gate", first_retry_s=0.01)
SCENE = Scene((Walker(1, (across(1, 4),)),), seconds=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "walk.mp4"
    container: Any = av.open(str(path), "w")
    with container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for frame, _ in SCENE.render():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def captured(settings: SourceSettings, *, most: int = 1000) -> tuple[list[Frame], list[str]]:
    """Frames of a source, and how it ended."""
    box = LatestFrame()
    ends: list[str] = []
    capture = Capture(settings, frames=box, on_end=ends.append)
    capture.start()
    frames: list[Frame] = []
    while len(frames) < most and (frame := box.get(60)) is not None:
        frames.append(frame)
    assert capture.close(60)
    return frames, ends


def file(clip: Path, **more: Any) -> SourceSettings:
    return SourceSettings(SourceType.FILE, url=str(clip), every_frame=True, **more)


def test_a_file_gives_every_frame_and_ends(clip: Path) -> None:
    frames, ends = captured(file(clip))

    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 10 for n in range(40)])
    assert frames[0].image.shape == (240, 320, 3)
    assert ends == [""]


def test_a_looped_file_goes_on_on_one_clock(clip: Path) -> None:
    frames, _ = captured(file(clip, loop=True), most=100)

    steps = np.diff([frame.time_s for frame in frames])
    assert steps == pytest.approx(np.full(99, 0.1), abs=0.01)


def test_a_source_gives_no_more_frames_than_asked_for(clip: Path) -> None:
    settings = SourceSettings(SourceType.FILE, url=str(clip), fps=5)
    box, ended = LatestFrame(), threading.Event()
    capture = Capture(settings, frames=box, on_end=lambda _: ended.set())
    capture.start()

    assert ended.wait(60)
    assert 18 <= capture.taken <= 21


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")

    _, missing = captured(SourceSettings(SourceType.FILE, url=str(tmp_path / "none.mp4")))
    _, broken = captured(SourceSettings(SourceType.FILE, url=str(tmp_path / "text.mp4")))

    assert "none.mp4" in missing[0]
    assert "text.mp4" in broken[0]


def test_pictures_that_are_too_large_are_refused(clip: Path) -> None:
    _, ends = captured(file(clip, max_pixels=320 * 200))

    assert ends == ["pictures of 320x240 are too large"]


def test_a_camera_that_is_not_there_is_dialled_until_closed() -> None:
    box = LatestFrame()
    ends: list[str] = []
    settings = SourceSettings(SourceType.RTSP, url="rtsp://127.0.0.1:1/none", timeout_s=1)
    capture = Capture(settings, frames=box, on_end=ends.append)
    capture.start()

    assert box.get(0.2) is None
    assert ends == []
    assert capture.close(60)
    assert ends == [""]


def test_the_drawn_scene_has_people_who_come_and_go() -> None:
    camera = drawn(fps=2.0)
    pictures = [next(camera)[1] for _ in range(48)]
    red = [int(np.count_nonzero(one[:, :, 2] > one[:, :, 0].astype(int) + 100)) for one in pictures]

    assert min(red) == 0
    assert max(red) > 200


class Slow:
    """A detector that waits until it is let go."""

    name, version = "slow", "1"

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def detect(self, image: Picture) -> Sequence[Detection]:
        self.entered.set()
        assert self.go.wait(60)
        raise ValueError("broken")


def test_a_slow_detector_costs_frames_and_a_broken_one_does_not_end_the_camera(
    caplog: pytest.LogCaptureFixture,
) -> None:
    box, detector, ended = LatestFrame(), Slow(), threading.Event()
    pipeline = Pipeline(
        EdgeSettings(recheck_s=0.0),
        frames=box,
        emit=lambda _: None,
        on_end=ended.set,
        detector=detector,  # type: ignore[arg-type]
    )
    picture = np.zeros((48, 64, 3), np.uint8)
    box.put(Frame(picture, 0.0, 0))
    pipeline.start()
    assert detector.entered.wait(60)
    for index in range(1, 6):
        box.put(Frame(picture, index / 10, index))
    detector.go.set()
    box.close()

    assert ended.wait(60)
    assert pipeline.close(60)
    figures = pipeline.figures()
    assert (figures.received, figures.dropped, figures.failed) == (6, 4, 2)
    assert (figures.detector, figures.detector_version) == ("slow", "1")
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


async def test_a_camera_is_judged_against_its_truth(clip: Path, tmp_path: Path) -> None:
    truth = {frame.index + 1: boxes for frame, boxes in SCENE.render()}
    write_mot(tmp_path / "gt.txt", truth)
    camera = Camera(CameraSettings(file(clip), NOBODY, truth=tmp_path / "gt.txt"))
    await camera.open()
    try:
        async with asyncio.timeout(120):
            await camera.ended.wait()
        quality = await camera.quality()
        figures = camera.figures()
    finally:
        await camera.close()

    assert quality is not None
    assert (quality.people, quality.tracks, quality.switches) == (1, 1, 0)
    assert quality.presence_f1 >= 0.9
    assert (figures.ended, figures.failure) == (True, "")
    assert (figures.pipeline.processed, figures.pipeline.dropped) == (40, 0)
    assert figures.processor is not None
    assert not figures.processor.connected


async def test_pictures_can_be_fed() -> None:
    camera = Camera(CameraSettings(SourceSettings(), NOBODY))
    await camera.open()
    try:
        for frame, _ in SCENE.render():
            await asyncio.to_thread(camera.frames.put_waiting, frame)
        camera.frames.close()
        async with asyncio.timeout(120):
            await camera.ended.wait()
        figures = camera.figures()
    finally:
        await camera.close()
        await camera.close()

    assert (figures.pipeline.processed, figures.pipeline.tracks) == (40, 1)
    assert await camera.quality() is None
