"""Where the ball is in a frame: an interface and three ways.

Coordinates are pixels of the frame; the centre of the upper left pixel is (0, 0).
"""

import math
from abc import ABC, abstractmethod

import numpy as np
from av import VideoFrame

from podstream_core.api import Estimator
from podstream_workloads.circle.draw import YuvColor
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.discfit.values import Limits

Point = tuple[float, float]


class BallEstimator(ABC):
    """Finds one ball; may keep state between frames, so each stream has its own."""

    radius: float | None = None
    """Of the ball that `estimate` has found last, pixels; `None` where the method has none."""

    @abstractmethod
    def estimate(self, frame: VideoFrame) -> Point | None:
        """The ball's centre, or `None` where no ball is seen. CPU work: not for the event loop."""


def make_estimator(settings: Estimator) -> BallEstimator:
    """The estimator that a spec asks for."""
    match settings.method:
        case "DiscFit":
            return DiscFitEstimator(_limits(settings))
        case "Hough":
            return HoughEstimator(dp=settings.dp, min_dist=settings.min_dist)
        case "Moments":
            return MomentsEstimator()


def _limits(settings: Estimator) -> Limits:
    color = None
    if settings.color is not None:
        known = YuvColor.from_hex(settings.color)
        color = (known.y, known.u, known.v)
    return Limits(settings.min_radius, settings.max_radius, color)


def luma(frame: VideoFrame) -> np.ndarray:
    """The Y plane as (height, width) 8-bit numbers, without a copy where the frame is planar."""
    if not frame.format.name.startswith(("yuv420p", "yuvj420p", "nv12", "gray")):
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    pixels = np.frombuffer(plane, dtype=np.uint8)  # type: ignore[call-overload]
    view: np.ndarray = pixels.reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return view


class DiscFitEstimator(BallEstimator):
    """Fit of a disc to the ball's edge, tracked from frame to frame, by `discfit`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._tracker = DiscTracker(limits)

    def estimate(self, frame: VideoFrame) -> Point | None:
        """The fitted centre."""
        ball = self._tracker.find(frame)
        self.radius = None if ball is None else ball.r
        return None if ball is None else (ball.x, ball.y)


def _background(picture: np.ndarray) -> float:
    """Median brightness along the border: a ball may fill half of the picture, never that."""
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    return float(np.median(np.concatenate(edges)))


class MomentsEstimator(BallEstimator):
    """Centroid of what differs from the background's brightness.

    The border gives the background's level, a coarse grid the ball's bounding box; inside the box
    each pixel weighs by how far it lies between background and ball, which gives sub-pixel centres.
    A shape that fills its box unlike a disc is refused, unless the border of the picture cuts it.
    """

    _GRID = 4
    """Every 4th pixel of every 4th row finds a ball of radius 4 and more."""
    _MIN_CONTRAST = 24
    """Grey levels; noise and codec residue stay below."""
    _MIN_PIXELS = 24
    _FILL = (0.6, 0.95)
    """A disc fills pi/4 = 0.785 of its box."""
    _HALF = 0.5
    _CUT_FILL = (0.5, 1.0)
    """The same for a disc that the picture's border cuts."""
    _MAX_CUT_SIDES = 2
    """A ball can lie in a corner, not along three borders."""
    _ASPECT = (0.75, 1.33)
    """Height by width of the box."""

    def estimate(self, frame: VideoFrame) -> Point | None:
        """The ball's centre by first moments."""
        picture = luma(frame)
        background = _background(picture)
        box = self._box(picture, background)
        if box is None:
            return None
        left, top, right, bottom = box
        contrast = picture[top:bottom, left:right].astype(np.float32) - background
        extreme = np.percentile(np.abs(contrast), 90)
        if extreme < self._MIN_CONTRAST:
            return None
        # Up to a fifth of the contrast is codec residue, above four fifths is ball.
        weights = np.clip((np.abs(contrast) / extreme - 0.2) / 0.6, 0, 1)
        mass = float(weights.sum())
        if mass < self._MIN_PIXELS or not self._is_disc(weights, mass, box, picture.shape):
            return None
        x = float(weights.sum(axis=0) @ np.arange(left, right, dtype=np.float32)) / mass
        y = float(weights.sum(axis=1) @ np.arange(top, bottom, dtype=np.float32)) / mass
        self.radius = math.sqrt(mass / math.pi)
        return x, y

    def _box(self, picture: np.ndarray, background: float) -> tuple[int, int, int, int] | None:
        """Bounding box of what stands out, with a margin of one grid step and a half."""
        coarse = picture[:: self._GRID, :: self._GRID].astype(np.int16) - round(background)
        mask = np.abs(coarse) >= self._MIN_CONTRAST
        rows = np.flatnonzero(mask.any(axis=1))
        columns = np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return None
        margin = self._GRID * 3 // 2
        height, width = picture.shape
        return (
            max(0, int(columns[0]) * self._GRID - margin),
            max(0, int(rows[0]) * self._GRID - margin),
            min(width, int(columns[-1]) * self._GRID + margin + 1),
            min(height, int(rows[-1]) * self._GRID + margin + 1),
        )

    def _is_disc(
        self,
        weights: np.ndarray,
        mass: float,
        box: tuple[int, int, int, int],
        shape: tuple[int, ...],
    ) -> bool:
        solid = weights > self._HALF
        rows = np.flatnonzero(solid.any(axis=1))
        columns = np.flatnonzero(solid.any(axis=0))
        if not rows.size:
            return False
        tall = int(rows[-1] - rows[0]) + 1
        wide = int(columns[-1] - columns[0]) + 1
        left, top, right, bottom = box
        height, width = shape[:2]
        sides = sum((left == 0, top == 0, right == width, bottom == height))
        if sides > self._MAX_CUT_SIDES:
            return False
        if sides:
            return self._CUT_FILL[0] <= mass / (tall * wide) <= self._CUT_FILL[1]
        is_filled = self._FILL[0] <= mass / (tall * wide) <= self._FILL[1]
        return is_filled and self._ASPECT[0] <= tall / wide <= self._ASPECT[1]


class HoughEstimator(BallEstimator):
    """`cv2.HoughCircles` with the original's options: the first circle."""

    def __init__(self, *, dp: float, min_dist: float) -> None:
        self._dp = dp
        self._min_dist = min_dist

    def estimate(self, frame: VideoFrame) -> Point | None:
        """The first circle's centre."""
        import cv2  # noqa: PLC0415 - 0.2 s to import, and only this estimator needs it

        gray = np.ascontiguousarray(luma(frame))
        circles = cv2.HoughCircles(gray, cv2.HOUGH_GRADIENT, self._dp, self._min_dist)
        if circles is None:
            return None
        first = circles.reshape(-1, circles.shape[-1])[0]
        self.radius = float(first[2])
        return float(first[0]), float(first[1])
