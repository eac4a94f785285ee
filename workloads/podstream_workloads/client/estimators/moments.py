"""The ball as the centroid of what differs from the background, to a fraction of a pixel.

In steps, each on fewer pixels than the one before:

1. The background level is the median of the frame's border: the ball may fill most of a small
   picture, never most of its border.
2. A coarse grid finds where anything differs, and how large it is; medians of the coordinates are
   blind to scattered noise.
3. At full resolution around that place, half of the ball's contrast tells ball from background.
   What is no disc is no ball.
4. The centroid is weighted: a pixel at the rim counts by how far it is lit, which is what
   antialiasing put there. Pixels below a fifth of the contrast count nothing, so that coding
   noise has no leverage.

A ball that the frame cuts has its centroid in the wrong place: there the rim's circle is fitted.
"""

import math
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.client.estimators.base import BallEstimator, Luma, luma_view
from podstream_workloads.client.estimators.rim import fit_circle, rim_points

MIN_CONTRAST: Final = 12
"""Levels of 0-255 that the ball must stand out by; coding noise of a flat picture stays below."""
MIN_AREA: Final = 20
"""Pixels; the smallest ball that can be asked for (radius 4) has 50."""
_GRID: Final = 4
"""Pixels between points of the coarse grid: the smallest ball has three of them or more."""
_BORDER_SAMPLES: Final = 256
_LOW: Final = 0.2
_HIGH: Final = 0.8
"""Shares of the contrast between which a pixel's weight rises from 0 to 1."""
_ASPECT: Final = 0.15
_FILL_TOLERANCE: Final = 0.1

Weights = NDArray[np.float32]


class MomentsEstimator(BallEstimator):
    """Centroid of a bright or dark disc on a flat background."""

    def estimate(self, frame: av.VideoFrame) -> tuple[float, float] | None:
        """Find the ball (see `BallEstimator`)."""
        return find_disc(luma_view(frame))


def find_disc(luma: Luma) -> tuple[float, float] | None:
    """Centre of the one disc in a picture; `None` where there is none."""
    background = _background(luma)
    place = _coarse_place(luma, background)
    if place is None:
        return None
    top, bottom, left, right = place
    difference = _difference(luma[top:bottom, left:right], background)
    inside = difference > max(float(difference.max()), MIN_CONTRAST) / 2
    contrast = float(np.median(difference[inside]))
    if contrast < MIN_CONTRAST:
        return None
    inside = difference > contrast / 2
    box = _box(inside)
    if box is None:
        return None
    # Two pixels more than the half contrast: the outer half of the rim.
    rows = slice(max(0, box[0] - 2), box[1] + 2)
    columns = slice(max(0, box[2] - 2), box[3] + 2)
    weights = np.clip((difference[rows, columns] / contrast - _LOW) / (_HIGH - _LOW), 0, 1)
    origin = (left + columns.start, top + rows.start)
    if (
        top + box[0] == 0
        or left + box[2] == 0
        or top + box[1] == luma.shape[0]
        or left + box[3] == luma.shape[1]
    ):
        return _cut_disc(weights, origin=origin)
    if not _is_disc(box, area=float(np.count_nonzero(inside[box[0] : box[1], box[2] : box[3]]))):
        return None
    return _centroid(weights, origin=origin)


def _background(luma: Luma) -> float:
    height, width = luma.shape
    across = max(1, width // _BORDER_SAMPLES)
    down = max(1, height // _BORDER_SAMPLES)
    border = np.concatenate(
        (luma[0, ::across], luma[-1, ::across], luma[::down, 0], luma[::down, -1])
    )
    return float(np.median(border))


def _difference(luma: Luma, background: float) -> Weights:
    difference: Weights = np.abs(luma.astype(np.float32) - np.float32(background))
    return difference


def _coarse_place(luma: Luma, background: float) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of a window that holds the ball with some room."""
    coarse = _difference(luma[::_GRID, ::_GRID], background)
    peak = float(coarse.max())
    if peak < MIN_CONTRAST:
        return None
    rows, columns = np.nonzero(coarse > peak / 2)
    # From the area, also for a ball of which the frame shows a quarter: its centroid lies 0.6
    # radii from the far rim, which is 1.2 of the radii that its area suggests.
    radius = _GRID * math.sqrt(len(rows) / math.pi)
    reach = math.ceil(1.3 * radius) + 2 * _GRID
    y, x = int(np.median(rows)) * _GRID, int(np.median(columns)) * _GRID
    height, width = luma.shape
    return (
        max(0, y - reach),
        min(height, y + reach + 1),
        max(0, x - reach),
        min(width, x + reach + 1),
    )


def _box(inside: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right (exclusive) of rows and columns with two such pixels or more."""
    rows = np.flatnonzero(np.count_nonzero(inside, axis=1) > 1)
    columns = np.flatnonzero(np.count_nonzero(inside, axis=0) > 1)
    if not len(rows) or not len(columns) or np.count_nonzero(inside) < MIN_AREA:
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _is_disc(box: tuple[int, int, int, int], *, area: float) -> bool:
    """Whether an area fills its box as a disc does: pi/4 of it, less what whole pixels add."""
    height, width = box[1] - box[0], box[3] - box[2]
    side = max(height, width)
    if abs(height - width) > max(2, _ASPECT * side):
        return False
    fill = area / (height * width)
    least = math.pi / 4 * ((side - 1) / side) ** 2
    return least * (1 - _FILL_TOLERANCE) <= fill <= math.pi / 4 * (1 + _FILL_TOLERANCE)


def _centroid(weights: Weights, *, origin: tuple[int, int]) -> tuple[float, float]:
    rows, columns = weights.shape
    across = weights.sum(axis=0, dtype=np.float64)
    down = weights.sum(axis=1, dtype=np.float64)
    total = across.sum()
    return (
        origin[0] + float(across @ np.arange(columns)) / float(total),
        origin[1] + float(down @ np.arange(rows)) / float(total),
    )


def _cut_disc(weights: Weights, *, origin: tuple[int, int]) -> tuple[float, float] | None:
    circle = fit_circle(rim_points(weights))
    if circle is None:
        return None
    return origin[0] + circle.x, origin[1] + circle.y
