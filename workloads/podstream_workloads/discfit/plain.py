"""The loops over pixels in numpy: the reference for the compiled ones, and their stand-in.

Arguments are positional, as in `_kernel`: a plane is its samples (a buffer), stride, width and
height, a grid of cells is a buffer of 32-bit floats. Coordinates are pixels of the plane.
"""

import math
from typing import Any

import numpy as np

from podstream_workloads.discfit.plainfit import fit_disc, margin, profile, window
from podstream_workloads.discfit.values import Runs

MAX_BLOBS = 256
_SECTORS = 16


def view(samples: Any, stride: int, width: int, height: int) -> np.ndarray:
    """A plane as (height, width) 8-bit numbers, without a copy.

    Raises:
        ValueError: the buffer is smaller than the picture.
    """
    pixels = np.frombuffer(samples, np.uint8)
    if min(width, height) < 1 or stride < width or pixels.size < stride * (height - 1) + width:
        raise ValueError("the buffer is smaller than the picture")
    return np.lib.stride_tricks.as_strided(
        pixels, shape=(height, width), strides=(stride, 1), writeable=False
    )


def _box_means(picture: np.ndarray, k: int, cols: int, rows: int) -> np.ndarray:
    cells = picture[: rows * k, : cols * k].reshape(rows, k, cols, k)
    means: np.ndarray = cells.sum(axis=(1, 3), dtype=np.float32) / (k * k)
    return means


def _background(grid: np.ndarray) -> tuple[float, float, float, float]:
    rows, cols = grid.shape
    step = 20 if grid.size > 300_000 else 10 if grid.size > 40_000 else 3
    sample = grid[::step, ::step].astype(np.float64)
    y, x = np.mgrid[0:rows:step, 0:cols:step]
    histogram = np.bincount(sample.astype(np.int64).ravel(), minlength=256)
    windows = np.convolve(histogram, np.ones(5, np.int64), mode="valid")
    mode = int(windows.argmax())
    is_flat = 2 * windows[mode] > sample.size
    before = np.concatenate(([0], np.cumsum(histogram)[:-1]))
    median = int(np.flatnonzero(2 * before < sample.size)[-1])
    fit = np.array([mode + 2.5 if is_flat else median + 0.5, 0.0, 0.0])
    limit = 12.0 if is_flat else 60.0
    sigma = limit / 3
    for _ in range(5):
        near = np.abs(sample - (fit[0] + fit[1] * x + fit[2] * y)) <= limit
        if near.sum() < 8:
            break
        terms = np.column_stack((np.ones(int(near.sum())), x[near], y[near]))
        normal = terms.T @ terms
        if not abs(np.linalg.det(normal)) > 1e-9:
            break
        fit = np.linalg.solve(normal, terms.T @ sample[near])
        sigma = float(np.sqrt(np.mean((sample[near] - terms @ fit) ** 2)))
        limit = min(60.0, max(3.0, 3 * sigma))
    return float(fit[0]), float(fit[1]), float(fit[2]), sigma


def add_scores(
    samples: Any, stride: int, width: int, height: int, k: int, scores: Any, cols: int, rows: int
) -> tuple[float, float, float, float]:
    """Add to each cell how far its mean is from the background, in squared deviations.

    The background is a level with a slope, fitted to what lies within three deviations of it; it
    starts at the histogram's mode where five grey levels hold more than half of the samples, else
    at the median.

    Returns:
        Level of cell (0, 0), slope per cell along x and y, deviation (before its floor of 0.9).
    """
    grid = _box_means(view(samples, stride, width, height), k, cols, rows)
    level, slope_x, slope_y, sigma = _background(grid)
    y, x = np.mgrid[0:rows, 0:cols]
    rest = (grid - (level + slope_x * x + slope_y * y)) / max(sigma, 0.9)
    cells = np.frombuffer(scores, np.float32)[: cols * rows].reshape(rows, cols)
    cells += (rest * rest).astype(np.float32)
    return level, slope_x, slope_y, sigma


def window_scores(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    x0: int,
    y0: int,
    k: int,
    scores: Any,
    cols: int,
    rows: int,
    threshold: float,
    sign: float,
) -> None:
    """Set each cell of a window from (x0, y0) on to `sign` times its mean minus a threshold."""
    picture = view(samples, stride, width, height)[y0:, x0:]
    cells = np.frombuffer(scores, np.float32)[: cols * rows].reshape(rows, cols)
    cells[:] = sign * (_box_means(picture, k, cols, rows) - threshold)


def blobs(
    scores: Any, cols: int, rows: int, threshold: float, least: float, most: float
) -> tuple[list[tuple[float, ...]], Runs]:
    """Cells that pass a threshold, joined where they touch along a side.

    Returns:
        The blobs of `least` to `most` cells, at most 256, as fields of `Blob`; and all runs.
    """
    mask = np.zeros((rows, cols + 2), np.int8)
    mask[:, 1:-1] = np.frombuffer(scores, np.float32)[: cols * rows].reshape(rows, cols) > threshold
    change = np.diff(mask, axis=1)
    row, start = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    runs = list(zip(row.tolist(), start.tolist(), end.tolist(), strict=True))
    parent = _join(runs)
    sums: dict[int, list[float]] = {}
    for index, (y, first, last) in enumerate(runs):
        root = _root(parent, index)
        x = np.arange(first, last, dtype=np.float64)
        n = last - first
        add = [n, x.sum(), n * y, (x * x).sum(), n * y * y, x.sum() * y]
        entry = sums.setdefault(root, [0.0] * 6 + [first, y, last - 1, y, root])
        entry[:6] = [a + b for a, b in zip(entry[:6], add, strict=True)]
        entry[6:10] = [
            min(entry[6], first),
            min(entry[7], y),
            max(entry[8], last - 1),
            max(entry[9], y),
        ]
    labels = [_root(parent, index) for index in range(len(runs))]
    table = np.array([(*run, label) for run, label in zip(runs, labels, strict=True)], np.int32)
    kept = [tuple(entry) for entry in sums.values() if least <= entry[0] <= most]
    return kept[:MAX_BLOBS], table.tobytes()


def _root(parent: list[int], label: int) -> int:
    while parent[label] != label:
        label = parent[label]
    return label


def _join(runs: list[tuple[int, int, int]]) -> list[int]:
    """Union-find over runs in reading order; a root is its blob's first run."""
    parent = list(range(len(runs)))
    rows: dict[int, list[int]] = {}
    for index, (y, start, end) in enumerate(runs):
        for other in rows.get(y - 1, ()):
            if runs[other][1] < end and runs[other][2] > start:
                a, b = _root(parent, other), _root(parent, index)
                parent[max(a, b)] = min(a, b)
        rows.setdefault(y, []).append(index)
    return parent


def fit(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    x: float,
    y: float,
    r: float,
    w: float,
    least_w: float,
    may_be_exact: bool,
) -> tuple[float, ...] | None:
    """Fit a disc from a start value; the fields of `Disc`, or `None` where that leads nowhere.

    With `may_be_exact` an edge that turns out sharp is described by the area that a half-plane
    covers of a pixel.
    """
    if not (2 <= r < 1e4 and 0 < w < 1e3):
        return None
    picture = view(samples, stride, width, height)
    return fit_disc(picture, (x, y, r, w), least_w=least_w, may_be_exact=may_be_exact)


def judge(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    x: float,
    y: float,
    r: float,
    w: float,
    f: float,
    b: float,
    gx: float,
    gy: float,
) -> tuple[int, int, float, float]:
    """Compare a fitted disc with the picture, sector by sector.

    Returns:
        How many of 16 sectors show inside and outside; how many of them have 0.6 to 1.45 of the
        contrast that the model has there; rms of a ring beside the disc against the background,
        grey levels, 0 where none is visible; rms over sectors of the edge's radial displacement,
        pixels, negative where none is visible.
    """
    picture = view(samples, stride, width, height)
    m, wide = margin(r, w), max(w, 1.2)
    near = 1.06 * r + w + 3.5  # beyond the corners of what is no disc
    step = 1 if r < 24 else 2 if r < 100 else 4  # rows that are enough
    dx, dy, value = window(picture, x, y, near + 6, step)
    d = np.hypot(dx, dy)
    outside = b + (gx * dx + gy * dy) / r
    ring = (d >= near) & (d < near + 6)
    ring_rms = float(np.sqrt(np.mean((value - outside)[ring] ** 2))) if ring.sum() >= 16 else 0.0
    edge = np.abs(d - r) < m
    dx, dy, d, value, outside = (part[edge] for part in (dx, dy, d, value, outside))
    model = outside + (f - outside) * profile((r - d) / wide)
    sector = _sectors(dx, dy)
    inside, beyond = d < r - 0.7 * w, d > r + 0.7 * w
    sectors = agreeing = 0
    squares = []
    for index in range(_SECTORS):
        own = sector == index
        if (own & inside).sum() >= 2 and (own & beyond).sum() >= 2:
            sectors += 1
            seen = value[own & inside].mean() - value[own & beyond].mean()
            wanted = model[own & inside].mean() - model[own & beyond].mean()
            if abs(wanted) > 0.25 * abs(f - b):
                agreeing += bool(0.6 <= seen / wanted <= 1.45)
        if own.sum() >= 0.6 * 2 * math.pi * r * 2 * m / _SECTORS / step:
            squares.append(((value - model)[own].mean() / (f - b) * 2 * m) ** 2)
    shape = math.sqrt(float(np.mean(squares))) if squares else -1.0
    return sectors, agreeing, ring_rms, shape


def _sectors(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    ax, ay = np.abs(dx), np.abs(dy)
    part = (ay > 0.41421356 * ax).astype(int) + (ay > ax) + (ay > 2.41421356 * ax)
    return np.asarray(4 * (2 * (dy < 0) + (dx < 0)) + part)


def probe(
    samples: Any, stride: int, width: int, height: int, x: float, y: float, r: float
) -> tuple[float, float]:
    """Mean of 32 pixels at 0.6 radii and of 32 at 1.1 radii + 3; NaN where none is visible."""
    picture = view(samples, stride, width, height)
    angle = 2 * np.pi * np.arange(32) / 32
    levels = []
    for reach in (0.6 * r, 1.1 * r + 3):
        px = np.floor(x + reach * np.cos(angle) + 0.5).astype(int)
        py = np.floor(y + reach * np.sin(angle) + 0.5).astype(int)
        seen = (px >= 0) & (py >= 0) & (px < width) & (py < height)
        levels.append(float(picture[py[seen], px[seen]].mean()) if seen.any() else math.nan)
    return levels[0], levels[1]
