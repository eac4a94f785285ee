"""The detection worker of the original's client."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from av import VideoFrame

from podstream_workloads.circle.estimators import BallEstimator, Point
from podstream_workloads.circle.standalone.detection import Detection
from podstream_workloads.media.latest import LatestBox


class _Scripted(BallEstimator):
    """Sees what it is told to see, as soon as it may."""

    def __init__(self, *found: Point | None) -> None:
        self._found = iter(found)
        self.looks = threading.Event()
        self.may_see = threading.Event()
        self.may_see.set()

    def estimate(self, frame: VideoFrame) -> Point | None:
        _ = frame
        self.looks.set()
        assert self.may_see.wait(10)
        return next(self._found)


def _frame(pts: int) -> VideoFrame:
    frame = VideoFrame(16, 16, "gray")
    frame.pts = pts
    return frame


@pytest.fixture
def frames() -> Iterator[LatestBox[VideoFrame]]:
    box: LatestBox[VideoFrame] = LatestBox()
    yield box
    box.close()


async def test_every_answer_has_its_own_frame_and_a_lost_ball_keeps_its_place(
    frames: LatestBox[VideoFrame],
) -> None:
    detection = Detection(_Scripted(None, (20.4, 30.6), None, (23, 33)), frames)
    answers = []
    for pts in (0, 3000, 6000, 9000):
        frames.put(_frame(pts))
        answers.append((await detection.next())[1])
    assert answers == ["-1\t-1\t0", "20\t31\t3000", "20\t31\t6000", "23\t33\t9000"]
    detection.close()


async def test_nothing_new_is_looked_at_before_the_last_answer_and_then_the_newest_only(
    frames: LatestBox[VideoFrame],
) -> None:
    estimator = _Scripted((1, 1), (4, 4))
    estimator.may_see.clear()
    detection = Detection(estimator, frames)
    frames.put(_frame(0))
    first = asyncio.create_task(detection.next())
    await asyncio.to_thread(estimator.looks.wait, 10)
    for pts in (3000, 6000, 9000):
        frames.put(_frame(pts))
    estimator.may_see.set()
    assert (await first)[1] == "1\t1\t0"
    assert (await detection.next())[1] == "4\t4\t9000"
    assert frames.dropped == 2
    detection.close()
