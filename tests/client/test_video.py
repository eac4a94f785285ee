"""A client's own video when it is broken or slower than its timestamps say."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from podstream_workloads.client.errors import ClientError
from podstream_workloads.client.video import VideoSource, VideoTrack
from podstream_workloads.media.clock import VIDEO_CLOCK_RATE


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as threads:
        yield threads


class _Broken(VideoSource):
    def __init__(self) -> None:
        self._frames = self._decode()
        self._place = "film.mp4"
        self.width = self.height = 64

    def _decode(self) -> Iterator[av.VideoFrame]:
        yield _frame(0.0)
        raise av.error.InvalidDataError(1, "Invalid data found", "film.mp4")


class _Slow(VideoSource):
    """Every frame is due a second before it is there, as on a machine that decodes too slowly."""

    def __init__(self, moment: list[float]) -> None:
        self._moment = moment
        self._count = 0

    def read(self) -> av.VideoFrame:
        self._moment[0] += 1.0
        self._count += 1
        return _frame(self._count / 30)


def _frame(at: float) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
    frame.pts, frame.time_base = round(at * VIDEO_CLOCK_RATE), Fraction(1, VIDEO_CLOCK_RATE)
    return frame.reformat(width=64, height=64, format="yuv420p")


async def test_a_broken_video_ends_the_track_with_its_cause(pool: ThreadPoolExecutor) -> None:
    track = VideoTrack(_Broken(), pool=pool)
    await track.recv()
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert track.over.is_set()
    assert isinstance(track.fault, ClientError)
    assert "film.mp4" in str(track.fault)


async def test_a_source_slower_than_its_clock_is_sent_at_its_own_pace(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [0.0]
    clock = SimpleNamespace(monotonic=lambda: moment[0])
    monkeypatch.setattr("podstream_workloads.client.video.time", clock)
    track = VideoTrack(_Slow(moment), pool=pool)
    for _ in range(3):
        await track.recv()
    assert track.sent == 3
    assert moment[0] < 40, "about ten frames are skipped between two that are sent"
