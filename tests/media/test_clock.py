import itertools

import pytest

from podstream_workloads.media.clock import FrameClock, index_of, pts_of


def test_frames_are_due_on_an_absolute_grid() -> None:
    clock = FrameClock(fps=10, start=100.0)
    first = clock.next(100.0)
    second = clock.next(100.03)
    assert (first.index, first.wait_s, first.skipped) == (0, 0.0, 0)
    assert (second.index, second.skipped) == (1, 0)
    assert second.wait_s == pytest.approx(0.07)


def test_a_late_sender_skips_and_never_shifts() -> None:
    clock = FrameClock(fps=10, start=0.0)
    clock.next(0.0)
    late = clock.next(0.55)
    assert (late.index, late.wait_s, late.skipped) == (5, 0.0, 4)
    assert clock.next(0.56).wait_s == pytest.approx(0.04)


@pytest.mark.parametrize("rate", [1, 7.3, 20, 29.9])
def test_a_lower_rate_takes_frames_of_the_same_grid_evenly(rate: float) -> None:
    clock = FrameClock(fps=30, start=0.0)
    indices, now = [clock.next(0.0).index], 0.0
    while now < 60:
        due = clock.next(now, rate=rate)
        now += due.wait_s
        assert due.skipped == due.index - indices[-1] - 1
        indices.append(due.index)
    steps = {later - earlier for earlier, later in itertools.pairwise(indices)}
    assert max(steps) - min(steps) <= 1
    assert len(indices) == pytest.approx(60 * rate, rel=0.02, abs=2)


def test_a_late_sender_of_a_lower_rate_catches_nothing_up() -> None:
    clock = FrameClock(fps=30, start=0.0)
    clock.next(0.0)
    assert clock.next(2.0, rate=10).index == 60
    assert clock.next(2.01, rate=10).index == 63


@pytest.mark.parametrize("fps", [1, 7, 24, 25, 29, 30, 60, 97, 120])
def test_presentation_times_lead_back_to_their_frame(fps: int) -> None:
    for index in (*range(500), 10_000_000):
        for rounding in (-1, 0, 1):
            assert index_of(pts_of(index, fps=fps) + rounding, fps=fps) == index


def test_a_time_between_two_frames_is_no_frame() -> None:
    assert index_of(1500, fps=30) is None
