"""Clients that are too slow and networks that lose packets cost frames, never time or truth."""

import time
from pathlib import Path

import pytest
from av import VideoFrame

from circle.players import play, spec
from fakes.loss import losing
from podstream_core.api import Codec
from podstream_workloads.circle.estimators import DiscFitEstimator, Point

pytestmark = pytest.mark.media


class _Slow(DiscFitEstimator):
    """Looks at each frame for a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def estimate(self, frame: VideoFrame) -> Point | None:
        time.sleep(self._seconds)
        return super().estimate(frame)


async def test_a_client_three_times_too_slow_is_sent_less_and_stays_near_the_present(
    tmp_path: Path,
) -> None:
    results = await play(spec(frames=30), tmp_path, estimator=_Slow(0.1))
    assert results.latency_ms is not None
    # One job of 100 ms, and up to one more that was under way when the frame came.
    assert results.latency_ms.p95 < 400
    assert results.frames_unmatched == 0
    # After 15 frames the server knows, and sends 7 a second for the rest.
    assert results.frames_skipped > 30
    assert results.frames_sent < 2.2 * results.frames_scored


@pytest.mark.parametrize("codec", list(Codec))
async def test_a_tenth_of_all_packets_lost_both_ways_is_a_pause_at_most(
    codec: Codec, tmp_path: Path
) -> None:
    with losing(0.1) as counts:
        results = await play(spec(frames=90, codec=codec.value), tmp_path)
    assert counts[0] > 10
    assert results.latency_ms is not None
    assert results.latency_ms.p99 < 1500
    assert results.latency_ms.p50 < 400
    assert results.rmse_px is not None
    # No picture was shown whose references were missing.
    assert results.rmse_px < 0.1
