import math

import pytest

from podstream_core.api import Codec
from podstream_workloads.circle.score import Score
from podstream_workloads.circle.truth import KEEP_S, Truth, TruthRing


def _truth(index: int, *, at: float = 0.0) -> Truth:
    return Truth(index, 100.0, 50.0, drawn_at=at)


def test_a_known_offset_gives_the_originals_and_the_euclidean_error() -> None:
    score = Score()
    for index in range(30):
        score.sent += 1
        score.add(_truth(index, at=index / 30), position=(103.0, 54.0), now=index / 30 + 0.02)
    results = score.results(codec=Codec.VP8, unsettled=0)
    assert results.rmse_px == pytest.approx(3.5355, abs=1e-4)
    assert results.rmse_euclidean_px == results.error_p95_px == pytest.approx(5.0)
    assert results.fps == pytest.approx(30.0)
    assert results.loss_ratio == 0
    assert results.latency_ms is not None
    assert results.latency_ms.p50 == results.latency_ms.p99 == pytest.approx(20.0)


def test_one_estimate_is_scored_as_the_original_prints_it() -> None:
    scored = Score().add(_truth(0), position=(106.0, 42.0), now=0.0)
    assert scored.rmse == math.sqrt((6**2 + 8**2) / 2)


def test_what_was_not_answered_is_lost_once_it_is_old_enough() -> None:
    score = Score()
    score.sent = 100
    score.missed = 10
    for index in range(60):
        score.add(_truth(index), position=(100.0, 50.0), now=1.0)
    assert score.results(codec=None, unsettled=20).loss_ratio == pytest.approx(10 / 80, abs=1e-4)


def test_without_estimates_there_is_no_error_rather_than_a_wrong_one() -> None:
    results = Score().results(codec=None, unsettled=0)
    assert results.rmse_px is None
    assert results.frames_scored == 0


def test_percentiles_of_a_long_session_stay_true_and_bounded() -> None:
    score = Score()
    for index in range(60_000):
        score.add(_truth(index), position=(100.0 + index % 100, 50.0), now=float(index))
    results = score.results(codec=None, unsettled=0)
    assert results.error_p95_px == pytest.approx(95, abs=2)


def test_the_ring_forgets_what_is_too_old_and_gives_each_frame_once() -> None:
    ring = TruthRing()
    for index in range(int(KEEP_S * 10) * 3):
        ring.add(_truth(index, at=index / 10))
    last = int(KEEP_S * 10) * 3 - 1
    assert ring.take(0) is None
    assert ring.take(last) is not None
    assert ring.take(last) is None
    assert ring.unsettled(last / 10) == 9
