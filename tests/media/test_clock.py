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


@pytest.mark.parametrize("fps", [1, 7, 24, 25, 29, 30, 60, 97, 120])
def test_presentation_times_lead_back_to_their_frame(fps: int) -> None:
    for index in (*range(500), 10_000_000):
        for rounding in (-1, 0, 1):
            assert index_of(pts_of(index, fps=fps) + rounding, fps=fps) == index


def test_a_time_between_two_frames_is_no_frame() -> None:
    assert index_of(1500, fps=30) is None
