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


async def test_a_client_three_times_too_slow_is_sent_what_it_looks_at(tmp_path: Path) -> None:
    """Its latency is a benchmark's: bench_circle_trouble."""
    results = await play(spec(frames=40), tmp_path, estimator=_Slow(0.1))
    assert results.frames_unmatched == 0
    # After 15 frames the server knows, and sends 7 a second for the rest.
    assert results.frames_skipped > 30
    assert results.frames_sent < 2.5 * results.frames_scored


@pytest.mark.parametrize("codec", list(Codec))
async def test_a_tenth_of_all_packets_lost_both_ways_is_a_pause_at_most(
    codec: Codec, tmp_path: Path
) -> None:
    with losing(0.1) as counts:
        results = await play(spec(frames=60, codec=codec.value), tmp_path)
    assert counts[0] > 5
    # Stock aiortc would wait for a lost packet until it holds 512, and lose estimates to its age.
    assert results.frames_unmatched == 0
    assert results.rmse_px is not None
    # No picture was shown whose references were missing.
    assert results.rmse_px < 0.1
