"""Constant velocity of centre and size, for all tracks of a camera at once.

The filter of SORT (Bewley et al., 2016) and ByteTrack (Zhang et al., 2022) on cx, cy, w, h. Its
four parts do not influence each other, so every 8 x 8 covariance falls into four of 2 x 2, kept as
three numbers each; time enters in seconds, so frames may come at any rate.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge.rects import Rects, areas, iou

Floats = NDArray[np.float64]

# Deviations in parts of the thing's size: of one measurement, and per sqrt(second) of velocity.
_MEASURED: Final = np.array([0.06, 0.06, 0.12, 0.08])
_PUSHED: Final = np.array([0.25, 0.2, 0.05, 0.03])
_SHIFTED: Final = 0.8  # the rest is the place as believed, which decides between equals
_UNKNOWN_VELOCITY: Final = np.array([2.0, 1.0, 0.2, 0.2])


def _states(rects: Rects) -> Floats:
    """cx, cy, w, h of x1, y1, x2, y2."""
    half = 0.5 * (rects[:, :2] + rects[:, 2:])
    return np.concatenate((half, rects[:, 2:] - rects[:, :2]), axis=1)


class Motions:
    """States of N tracks; a row each, in the order in which they were added."""

    def __init__(self) -> None:
        self._mean = np.zeros((0, 4))
        self._velocity = np.zeros((0, 4))
        self._spread = np.zeros((3, 0, 4))  # variances of place, both, velocity

    def rects(self) -> Rects:
        """x1, y1, x2, y2 as believed now; N x 4."""
        half = 0.5 * self._mean[:, 2:]
        return np.concatenate((self._mean[:, :2] - half, self._mean[:, :2] + half), axis=1)

    def nearness(self, found: Rects) -> Floats:
        """How well each of M rectangles fits each row, 0 to 1; N x M.

        Mostly the intersection over union once a row's rectangle is moved towards the other as far
        as its place is unsure, by half of its size at most; so cameras of one frame per second
        find people again who have moved far, and sure places stay sharp.
        """
        rects = self.rects()
        unsure = np.minimum(np.sqrt(self._spread[0, :, :2]), 0.5 * self._mean[:, 2:])[:, None]
        middles = 0.5 * (found[:, :2] + found[:, 2:])
        shift = np.clip(middles[None] - self._mean[:, None, :2], -unsure, unsure)
        moved = rects[:, None] + np.concatenate((shift, shift), axis=2)
        low = np.maximum(moved[..., :2], found[None, :, :2])
        sides = np.maximum(np.minimum(moved[..., 2:], found[None, :, 2:]) - low, 0.0)
        shared = sides[..., 0] * sides[..., 1]
        total = areas(rects)[:, None] + areas(found)[None] - shared
        near = _SHIFTED * shared / np.maximum(total, 1e-9) + (1.0 - _SHIFTED) * iou(rects, found)
        return np.asarray(near)

    def velocities(self) -> Floats:
        """Of the centre, pixels per second; N x 2."""
        return self._velocity[:, :2]

    def add(self, rects: Rects) -> None:
        """Begin rows at rectangles, with no idea of their velocities."""
        mean = _states(rects)
        size = _size(mean)
        spread = np.zeros((3, *mean.shape))
        spread[0] = (_MEASURED * size) ** 2
        spread[2] = (_UNKNOWN_VELOCITY * size) ** 2
        self._mean = np.concatenate((self._mean, mean))
        self._velocity = np.concatenate((self._velocity, np.zeros_like(mean)))
        self._spread = np.concatenate((self._spread, spread), axis=1)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget every other row."""
        self._mean, self._velocity = self._mean[rows], self._velocity[rows]
        self._spread = self._spread[:, rows]

    def predict(self, dt_s: float) -> None:
        """Let time pass."""
        if not len(self._mean):
            return
        place, both, velocity = self._spread
        push = (_PUSHED * _size(self._mean)) ** 2
        self._mean = self._mean + dt_s * self._velocity
        np.maximum(self._mean[:, 2:], 1.0, out=self._mean[:, 2:])
        place += dt_s * (2.0 * both + dt_s * velocity) + push * (dt_s**3 / 3.0)
        both += dt_s * velocity + push * (dt_s**2 / 2.0)
        velocity += push * dt_s

    def correct(self, rows: NDArray[np.intp], rects: Rects) -> None:
        """Take measured rectangles into rows."""
        mean = self._mean[rows]
        place, both, velocity = self._spread[:, rows]
        gain = 1.0 / (place + (_MEASURED * _size(mean)) ** 2)
        off = _states(rects) - mean
        self._mean[rows] = mean + place * gain * off
        self._velocity[rows] += both * gain * off
        self._spread[0, rows] = place - place * place * gain
        self._spread[1, rows] = both - place * both * gain
        self._spread[2, rows] = velocity - both * both * gain

    def move_inside(self, row: int, rect: Rects) -> None:
        """Shift a row's centre so far that it lies inside a rectangle; its size stays."""
        low, high = rect[:2], rect[2:]
        half = np.minimum(0.5 * self._mean[row, 2:], 0.5 * (high - low))
        self._mean[row, :2] = np.clip(self._mean[row, :2], low + half, high - half)
        self._velocity[row, 2:] = 0.0

    def stand(self, row: int) -> None:
        """Forget a row's velocity: what it belongs to is known not to move."""
        self._velocity[row] = 0.0


def _size(mean: Floats) -> Floats:
    return np.sqrt(np.maximum(mean[:, 2:3] * mean[:, 3:4], 1.0))
