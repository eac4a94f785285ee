"""What the client's window shows: marks at their places, of one frame, in colours of their own."""

from collections.abc import Callable

import numpy as np
import pytest
from av import VideoFrame

from podstream_workloads.circle.channel import ToldTruth
from podstream_workloads.client.marks import SEEN, TRUTH, draw_marks
from podstream_workloads.client.showing import Showing

_GREY = np.full((240, 320, 3), 90, np.uint8)


def near(picture: np.ndarray, place: tuple[int, int], color: tuple[int, int, int]) -> bool:
    """Whether a pixel has a colour, but for the soft edge of what is drawn."""
    x, y = place
    return bool(np.abs(picture[y, x].astype(int) - color).max() < 40)


def test_marks_lie_where_the_ball_is_and_was_seen() -> None:
    marked = draw_marks(_GREY, seen=(100, 80), radius=30, truth=(160, 120))
    assert near(marked, (100, 80), SEEN)
    for ring in ((130, 80), (70, 80), (100, 110), (100, 50)):
        assert near(marked, ring, SEEN)
    assert near(marked, (160, 120), TRUTH)
    assert near(marked, (164, 120), TRUTH)
    assert near(marked, (160, 116), TRUTH)
    assert near(marked, (115, 80), (90, 90, 90)), "a ring, not a disc"
    assert not np.array_equal(marked, _GREY)
    assert (_GREY == 90).all(), "the picture itself is left as it is"


def test_ring_follows_fractions_of_a_pixel() -> None:
    left = draw_marks(_GREY, seen=(100.0, 80.0), radius=30, truth=None)
    right = draw_marks(_GREY, seen=(100.5, 80.0), radius=30, truth=None)
    assert not np.array_equal(left, right)


@pytest.mark.parametrize("radius", [None, 0.0])
def test_without_a_radius_there_is_a_dot_and_no_ring(radius: float | None) -> None:
    marked = draw_marks(_GREY, seen=(100, 80), radius=radius, truth=None)
    assert near(marked, (100, 80), SEEN)
    assert near(marked, (130, 80), (90, 90, 90))


def test_nothing_is_marked_in_the_picture_where_no_ball_is_seen() -> None:
    marked = draw_marks(_GREY, seen=None, radius=None, truth=None)
    assert np.array_equal(marked[:200], _GREY[:200]), "only the legend says so"


class Screen:
    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def show(self, draw: Callable[[], np.ndarray]) -> None:
        self.shown.append(draw())


def frame_of(level: int) -> VideoFrame:
    return VideoFrame.from_ndarray(np.full((240, 320, 3), level, np.uint8), format="bgr24")


def test_frames_are_shown_at_once_while_no_truth_is_told() -> None:
    screen = Screen()
    showing = Showing(screen)
    for number in range(3):
        showing.looked(frame_of(90), (50.0 + number, 60.0), radius=9, rtp_timestamp=number)
    assert len(screen.shown) == 3


def test_with_truths_the_marks_are_of_one_frame() -> None:
    screen = Screen()
    showing = Showing(screen)
    showing.looked(frame_of(10), (50.0, 60.0), radius=9, rtp_timestamp=1)
    showing.told(ToldTruth((52.0, 61.0), 9, 0, 1))
    assert len(screen.shown) == 2, "the first one came before it was known that truths are told"
    showing.looked(frame_of(90), (150.0, 60.0), radius=9, rtp_timestamp=2)
    showing.looked(frame_of(200), (190.0, 60.0), radius=9, rtp_timestamp=3)
    assert len(screen.shown) == 2
    showing.told(ToldTruth((200.0, 100.0), 9, 0, 2))
    last = screen.shown[-1]
    assert near(last, (150, 60), SEEN)
    assert near(last, (200, 100), TRUTH)
    assert near(last, (10, 10), (90, 90, 90)), "of frame 2"
    showing.told(ToldTruth((1.0, 1.0), 9, 0, 77))
    assert len(screen.shown) == 3, "a frame that is not known is not shown"


def test_frames_without_a_ball_are_shown_though_truths_are_told() -> None:
    screen = Screen()
    showing = Showing(screen)
    showing.told(ToldTruth((1.0, 1.0), 9, 0, None))
    showing.looked(frame_of(90), None, radius=None, rtp_timestamp=4)
    assert len(screen.shown) == 1


def test_no_more_frames_are_kept_than_a_few() -> None:
    showing = Showing(Screen())
    for number in range(100):
        showing.looked(frame_of(90), (50.0, 60.0), radius=9, rtp_timestamp=number)
    assert len(showing._waiting) == 8
