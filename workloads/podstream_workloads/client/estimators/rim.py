"""A circle through the visible part of a ball's rim."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MIN_POINTS: Final = 8
_MIN_RADIUS: Final = 2.0
_MAX_RESIDUAL: Final = 0.1
"""Root mean square distance of the rim from the circle, as a share of its radius."""

Points = NDArray[np.float64]
"""One row per point: x, y."""


@dataclass(frozen=True, slots=True)
class Circle:
    """Centre and radius, pixels."""

    x: float
    y: float
    radius: float


def rim_points(weights: NDArray[np.float32]) -> Points:
    """Where the weight of neighbouring pixels crosses one half, to a fraction of a pixel."""
    level = weights.astype(np.float64) - 0.5
    rows, columns = np.nonzero(level[:, :-1] * level[:, 1:] < 0)
    before, after = level[rows, columns], level[rows, columns + 1]
    across = np.column_stack((columns + before / (before - after), rows))
    rows, columns = np.nonzero(level[:-1] * level[1:] < 0)
    before, after = level[rows, columns], level[rows + 1, columns]
    down = np.column_stack((columns, rows + before / (before - after)))
    return np.concatenate((across, down))


def fit_circle(points: Points) -> Circle | None:
    """Least-squares circle (Kåsa 1976); `None` where the points lie on none.

    The squares' error is algebraic: (x² + y² + Dx + Ey + F)², linear in the unknowns.
    """
    if len(points) < _MIN_POINTS:
        return None
    middle = points.mean(axis=0)
    around = points - middle
    matrix = np.column_stack((around, np.ones(len(around))))
    solution, _, rank, _ = np.linalg.lstsq(matrix, (around**2).sum(axis=1), rcond=None)
    if rank < matrix.shape[1]:
        return None
    centre = solution[:2] / 2
    radius = math.sqrt(float(solution[2] + (centre**2).sum()))
    distances = np.hypot(*(around - centre).T) - radius
    if radius < _MIN_RADIUS or math.sqrt(float((distances**2).mean())) > _MAX_RESIDUAL * radius:
        return None
    return Circle(float(middle[0] + centre[0]), float(middle[1] + centre[1]), radius)
