"""`spec.circle.tellTruth`: a client hears where the ball was, after it has said where it saw it."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from av import VideoFrame

from circle.players import play, spec
from podstream_workloads.circle.channel import ToldTruth
from podstream_workloads.circle.estimators import Point
from podstream_workloads.client.showing import Showing

pytestmark = pytest.mark.media


class Hearing(Showing):
    """Notes what a client with a window sees and hears."""

    def __init__(self) -> None:
        super().__init__(self)
        self.seen: dict[int, tuple[Point, float]] = {}
        self.truths: list[ToldTruth] = []
        self.shown = 0

    def show(self, draw: Callable[[], np.ndarray]) -> None:
        self.shown += 1

    def looked(
        self,
        frame: VideoFrame,
        place: Point | None,
        *,
        radius: float | None,
        rtp_timestamp: int | None,
    ) -> None:
        if place is not None and rtp_timestamp is not None and radius is not None:
            self.seen[rtp_timestamp] = (place, radius)
        super().looked(frame, place, radius=radius, rtp_timestamp=rtp_timestamp)

    def told(self, truth: ToldTruth) -> None:
        self.truths.append(truth)
        super().told(truth)


async def test_each_truth_is_of_the_frame_that_was_answered(tmp_path: Path) -> None:
    hearing = Hearing()
    results = await play(spec(frames=30, tellTruth=True), tmp_path, showing=hearing)
    assert results.frames_scored == 30
    assert len(hearing.truths) >= 20
    for truth in hearing.truths:
        assert truth.rtp_timestamp is not None
        place, radius = hearing.seen[truth.rtp_timestamp]
        assert math.dist(place, truth.position) < 1
        assert truth.radius == 20
        assert radius == pytest.approx(20, abs=1)
    assert hearing.shown


async def test_nothing_is_told_unless_the_spec_says_so(tmp_path: Path) -> None:
    hearing = Hearing()
    results = await play(spec(frames=20), tmp_path, showing=hearing)
    assert results.frames_scored == 20
    assert hearing.truths == []
    assert hearing.shown >= 20
