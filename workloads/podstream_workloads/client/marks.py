"""What the client's window shows over a picture: where the ball is, where it was seen, its ring."""

from typing import Final

import numpy as np

from podstream_workloads.circle.estimators import Point

TRUTH: Final = (255, 140, 63)
SEEN: Final = (45, 45, 255)
"""BGR; also told apart by their shapes: a cross, and a dot in a ring."""
_EDGE: Final = (255, 255, 255)
_INK: Final = (230, 230, 230)
_FINE: Final = 4
"""Fractional bits of coordinates: marks are drawn to a sixteenth of a pixel."""


def draw_marks(
    picture: np.ndarray, *, seen: Point | None, radius: float | None, truth: Point | None
) -> np.ndarray:
    """A copy of a picture with its marks and their legend.

    Args:
        picture: BGR, uint8 of shape (height, width, 3).
        seen: the estimate's centre, pixels; the centre of the upper left pixel is (0, 0).
        radius: of the ring around it, pixels; `None` for no ring.
        truth: the true centre; `None` where nobody has told it.
    """
    import cv2  # noqa: PLC0415 - 0.2 s to import, and only windows need it

    marked = picture.copy()
    thick = max(1, round(picture.shape[1] / 640))
    if seen is not None and radius:
        ring = round(radius * (1 << _FINE))
        cv2.circle(marked, _fine(seen), ring, SEEN, thick, cv2.LINE_AA, _FINE)
    if truth is not None:
        for color, wide in ((_EDGE, thick + 2), (TRUTH, thick)):
            for step_x, step_y in ((6 * thick, 0), (0, 6 * thick)):
                ends = ((truth[0] + sign * step_x, truth[1] + sign * step_y) for sign in (-1, 1))
                begin, end = (_fine(place) for place in ends)
                cv2.line(marked, begin, end, color, wide, cv2.LINE_AA, _FINE)
    if seen is not None:
        cv2.circle(marked, _fine(seen), 2 * thick << _FINE, SEEN, -1, cv2.LINE_AA, _FINE)
    entries = [("true centre: cross", TRUTH)] if truth is not None else []
    entries += [("seen: dot and ring", SEEN)] if seen is not None else [("no ball seen", _INK)]
    for line, (text, color) in enumerate(entries):
        at = (8, picture.shape[0] - 10 - 18 * thick * line)
        cv2.putText(marked, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * thick, color, thick)
    return marked


def _fine(place: Point) -> tuple[int, int]:
    return round(place[0] * (1 << _FINE)), round(place[1] * (1 << _FINE))
