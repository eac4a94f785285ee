"""Arithmetic of rectangles, x1 y1 x2 y2."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge.detectors.base import Rect

Rects: TypeAlias = NDArray[np.float64]
"""N x 4: x1, y1, x2, y2."""


def as_array(rects: Sequence[Rect]) -> Rects:
    """N x 4, also for none."""
    return np.asarray(rects, dtype=np.float64).reshape(-1, 4)


def overlaps(one: Rects, other: Rects) -> NDArray[np.float64]:
    """Area that each of N rectangles shares with each of M; N x M."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def areas(rects: Rects) -> NDArray[np.float64]:
    """Area of each; N."""
    return np.asarray((rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1]))


def iou(one: Rects, other: Rects) -> NDArray[np.float64]:
    """Intersection over union of each of N with each of M, 0 to 1; N x M."""
    shared = overlaps(one, other)
    union = areas(one)[:, None] + areas(other)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def clipped(rect: Rect, *, width: float, height: float) -> Rect:
    """The part that lies in a picture; may be empty."""
    x1, y1, x2, y2 = rect
    x1, x2 = min(max(x1, 0.0), width), min(max(x2, 0.0), width)
    y1, y2 = min(max(y1, 0.0), height), min(max(y2, 0.0), height)
    return x1, y1, x2, y2


def grown(rect: Rect, part: float) -> Rect:
    """The rectangle with `part` of its size more on each side."""
    x1, y1, x2, y2 = rect
    dx, dy = (x2 - x1) * part, (y2 - y1) * part
    return x1 - dx, y1 - dy, x2 + dx, y2 + dy


def union(rects: Sequence[Rect]) -> Rect:
    """The smallest rectangle around one or more."""
    array = as_array(rects)
    low, high = array[:, :2].min(axis=0), array[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
