"""The disc fit in numpy: Gauss-Newton over the pixels of the edge.

Maximum likelihood under white noise. With the distance d from the centre, X = dx/r and Y = dy/r:
b' = b + gx X + gy Y; picture = b' + (f - b') h; h = 1/2 + 3t/4 - t³/4; t = clamp((r - d)/w, -1, 1).
"""

import math
from dataclasses import dataclass

import numpy as np

_MAX_ROUNDS = 12
_COARSE_ROUNDS = 6


def margin(r: float, w: float) -> float:
    """Half-width of the ring of pixels that the fit looks at."""
    return min(w + (2.0 if r < 14 else 3.5), 0.9 * r)


def profile(t: np.ndarray) -> np.ndarray:
    """The edge's profile: 0 outside, 1 inside."""
    t = np.clip(t, -1, 1)
    return np.asarray(0.5 + t * (0.75 - 0.25 * t * t))


def window(
    picture: np.ndarray, x: float, y: float, reach: float, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places relative to (x, y) and values of the pixels of every `step`-th row within `reach`."""
    height, width = picture.shape
    top, bottom = max(0, math.ceil(y - reach)), min(height - 1, math.floor(y + reach))
    left, right = max(0, math.ceil(x - reach)), min(width - 1, math.floor(x + reach))
    rows, cols = np.arange(top, bottom + 1, step), np.arange(left, right + 1)
    dx, dy = np.meshgrid(cols - x, rows - y)
    return dx, dy, picture[top : bottom + 1 : step, left : right + 1].astype(np.float64)


def _row_step(r: float) -> int:
    return 1 if r < 16 else 4 if r > 60 else 2


@dataclass(frozen=True, slots=True)
class _Ring:
    """The edge's pixels, relative to the centre for which they were collected."""

    dx: np.ndarray
    dy: np.ndarray
    value: np.ndarray
    x: float
    y: float
    r: float
    m: float

    @classmethod
    def collect(cls, picture: np.ndarray, disc: np.ndarray, step: int) -> "_Ring | None":
        x, y, r, w = (float(part) for part in disc[:4])
        m = margin(r, w)
        dx, dy, value = window(picture, x, y, r + m, step)
        d = np.hypot(dx, dy)
        edge = np.abs(d - r) < m
        if edge.sum() < 24:
            return None
        return cls(dx[edge], dy[edge], value[edge], x, y, r, m)


def fit_disc(
    picture: np.ndarray,
    start: tuple[float, float, float, float],
    *,
    least_w: float,
    may_be_exact: bool,
) -> tuple[float, ...] | None:
    """As `plain.fit`, on a view of the plane."""
    disc = np.array([*start, 0, 0, 0, 0], np.float64)
    ring = _Ring.collect(picture, disc, _row_step(disc[2]))
    if ring is None or not _first_levels(ring, disc):
        return None
    is_fine, is_exact, sd = _row_step(disc[2]) == 1, False, 0.0
    rounds = 0
    for rounds in range(1, _MAX_ROUNDS + 1):
        terms, rest = _model(ring, disc, is_exact=is_exact)
        weights = np.ones_like(rest)
        if rounds > 2:
            weights = 1 / (1 + (rest / (3 * max(sd, 0.1))) ** 2)
        sd = math.sqrt(float((weights * rest**2).sum() / max(weights.sum(), 1)))
        step = _step(terms, weights, rest, is_exact=is_exact)
        if step is None:
            return None
        most = 3.0 if rounds <= 2 else 1.5
        step[:3] = np.clip(step[:3], -most, most)
        w = float(disc[3])
        disc += step
        if disc[2] < 2 or abs(disc[0] - start[0]) + abs(disc[1] - start[1]) > start[2]:
            return None
        disc[3] = w if is_exact else min(max(disc[3], 0.6 * w), 1.5 * w)
        disc[3] = min(max(disc[3], least_w), max(least_w, min(10, disc[2] / 2)))
        is_settled = abs(disc[3] - w) < 0.1 * w
        moved, grown = math.hypot(step[0], step[1]), abs(float(step[2]))
        was_fine, was_exact = is_fine, is_exact
        if (max(moved, grown) < 0.15 and is_settled) or rounds >= _COARSE_ROUNDS:
            is_fine = True
        if may_be_exact and is_fine and is_settled and disc[3] <= 0.9:
            is_exact = True
        if moved < 0.004 and grown < 0.008 and was_fine and was_exact == is_exact:
            break
        shift = math.hypot(disc[0] - ring.x, disc[1] - ring.y) + abs(disc[2] - ring.r)
        is_moved = shift > 0.6 or abs(margin(disc[2], disc[3]) - ring.m) > 0.3
        if is_moved or was_fine != is_fine:
            ring = _Ring.collect(picture, disc, 1 if is_fine else _row_step(disc[2]))
            if ring is None:
                return None
    return (*(float(value) for value in disc), sd, rounds)


def _first_levels(ring: _Ring, disc: np.ndarray) -> bool:
    d = np.hypot(ring.dx, ring.dy)
    inside, outside = d < disc[2] - 0.7 * disc[3], d > disc[2] + 0.7 * disc[3]
    if not inside.any() or not outside.any():
        return False
    disc[4], disc[5] = ring.value[inside].mean(), ring.value[outside].mean()
    return True


def _model(ring: _Ring, disc: np.ndarray, *, is_exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (8, pixels) and residuals."""
    x, y, r, w, f, b, gx, gy = disc
    dx, dy = ring.dx - (x - ring.x), ring.dy - (y - ring.y)
    d = np.hypot(dx, dy) + 1e-6
    nx, ny = dx / d, dy / d
    t = np.clip((r - d) / w, -1, 1)
    h, slope = _area(nx, ny, r, d) if is_exact else (profile(t), 0.75 * (1 - t * t) / w)
    outside = b + gx * dx / r + gy * dy / r
    a = f - outside
    edge = a * slope
    width = np.zeros_like(d) if is_exact else -t * edge
    rows = (edge * nx, edge * ny, edge, width, h, 1 - h, (1 - h) * dx / r, (1 - h) * dy / r)
    return np.stack(rows), ring.value - (outside + a * h)


def _area(nx: np.ndarray, ny: np.ndarray, r: float, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area of a half-plane in a pixel and its slope; the circle bends away by 1/(24 d)."""
    ax, ay = np.abs(nx), np.abs(ny)
    p, q = np.maximum(ax, ay), np.minimum(ax, ay) + 1e-4
    u = r - d - 1 / (24 * d)
    z = np.maximum(0, (p + q) / 2 - np.abs(u))
    is_straight = np.abs(u) < (p - q) / 2
    area = np.where(is_straight, 0.5 + u / p, 0.5 + np.sign(u) * (0.5 - z * z / (2 * p * q)))
    return area, np.where(is_straight, 1 / p, z / (p * q))


def _step(
    terms: np.ndarray, weights: np.ndarray, rest: np.ndarray, *, is_exact: bool
) -> np.ndarray | None:
    weighted = terms * weights
    normal = weighted @ terms.T
    diagonal = np.einsum("ii->i", normal)
    diagonal *= 1 + 1e-6
    diagonal[3] *= 1.05 / (1 + 1e-6)
    if is_exact:
        diagonal[3] = 1
    try:
        np.linalg.cholesky(normal)
    except np.linalg.LinAlgError:
        return None
    return np.linalg.solve(normal, weighted @ rest)
