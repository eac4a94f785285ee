"""Where in a picture a disc may be: blobs of box means that differ from the background."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from podstream_workloads.discfit.backend import Backend
from podstream_workloads.discfit.values import Blob, Limits, Plane, Runs, Start

_THRESHOLD = 20.0
"""Squared deviations, summed over the planes: 4.5 deviations of one."""
_ROUND = (0.72, 1.15)
_MIN_CIRCULAR = 0.75
_CIRCULAR_CELLS = 30
"""A smaller blob's axes say nothing."""
_MAX_CANDIDATES = 12
_NARROW = 640
"""Pictures up to this width have finer cells."""
_MIN_CELLS = 4


class Grid:
    """Cells of k x k luma pixels over a whole picture; keeps its memory between pictures."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        luma = planes[0]
        self.k = 2 if luma.width <= _NARROW else 4
        self.cols, self.rows = luma.width // self.k, luma.height // self.k
        self.size = (luma.width, luma.height)
        self._scores = np.zeros(self.cols * self.rows, np.float32)

    def candidates(
        self, backend: Backend, planes: Sequence[Plane], limits: Limits
    ) -> tuple[list[Start], tuple[float, ...]]:
        """Start values, the likeliest first, and the background's deviation in each plane."""
        self._scores[:] = 0
        sigmas = []
        for index, plane in enumerate(planes):
            k = self.k if index == 0 else self.k // 2
            fit = backend.add_scores(*plane, k, self._scores, self.cols, self.rows)
            sigmas.append(max(fit[3], 0.9))
        k2 = self.k * self.k
        least = max(_MIN_CELLS, 0.35 * math.pi * limits.least_radius**2 / k2)
        most = 1.6 * math.pi * (limits.most_radius + self.k) ** 2 / k2
        found, runs = backend.blobs(self._scores, self.cols, self.rows, _THRESHOLD, least, most)
        ranked = sorted(self._rank(found), key=lambda pair: -pair[0])[:_MAX_CANDIDATES]
        starts = (self._start(blob, runs, limits) for _, blob in ranked)
        return [start for start in starts if start is not None], tuple(sigmas)

    def _rank(self, found: Sequence[tuple[float, ...]]) -> Iterator[tuple[float, Blob]]:
        for fields in found:
            blob = Blob(*fields)  # type: ignore[arg-type]
            area, circular = blob.roundness
            if self._is_cut(blob):
                yield blob.n * area / 2, blob
            elif _ROUND[0] <= area <= _ROUND[1] and (
                blob.n <= _CIRCULAR_CELLS or circular >= _MIN_CIRCULAR
            ):
                yield blob.n * area, blob

    def _is_cut(self, blob: Blob) -> bool:
        last_col, last_row = self.cols - 1, self.rows - 1
        return not (blob.left and blob.top and blob.right < last_col and blob.bottom < last_row)

    def _start(self, blob: Blob, runs: Runs, limits: Limits) -> Start | None:
        k = self.k
        is_cut = self._is_cut(blob)
        if is_cut:
            circle = circle_through(rim(runs, blob.label, cols=self.cols, rows=self.rows))
            if circle is None:
                return None
            x, y, r = circle
        else:
            x, y, r = blob.sx / blob.n, blob.sy / blob.n, math.sqrt(blob.n / math.pi)
        x, y, r = (x + 0.5) * k - 0.5, (y + 0.5) * k - 0.5, r * k
        if not 0.6 * limits.least_radius <= r <= 1.5 * limits.most_radius:
            return None
        return Start(x, y, r, min(k + 0.5 + is_cut, 0.45 * r), is_cut)


def rim(runs: Runs, label: int, *, cols: int, rows: int) -> np.ndarray:
    """Ends of a blob's rows, and of its columns, that do not lie on the border; (n, 2), cells."""
    table = np.frombuffer(runs, np.int32).reshape(-1, 4)
    own = table[table[:, 3] == label]
    first, last = int(own[0, 0]), int(own[-1, 0])
    height = last - first + 1
    left, right = np.full(height, cols), np.full(height, -1)
    np.minimum.at(left, own[:, 0] - first, own[:, 1])
    np.maximum.at(right, own[:, 0] - first, own[:, 2] - 1)
    y = np.arange(first, last + 1)
    # A cell belongs to the blob when the disc covers some of it: the rim runs through its middle.
    points = [np.column_stack((left[left > 0], y[left > 0]))]
    points.append(np.column_stack((right[right < cols - 1], y[right < cols - 1])))
    for edge, beyond in ((0, first > 0), (-1, last < rows - 1)):
        if beyond:
            middle = (left[edge] + right[edge]) / 2
            points.append(np.array([[middle, y[edge]]]))
    return np.concatenate(points).astype(np.float64)


def circle_through(points: np.ndarray) -> tuple[float, float, float] | None:
    """Taubin's circle fit (PAMI 13, 1991), by singular values; `None` for a straight line."""
    if len(points) < 5:  # noqa: PLR2004 - three unknowns and some room
        return None
    middle = points.mean(axis=0)
    x, y = (points - middle).T
    z = x * x + y * y
    mean = z.mean()
    if mean <= 0:
        return None
    scaled = (z - mean) / (2 * math.sqrt(mean))
    _, _, vectors = np.linalg.svd(np.column_stack((scaled, x, y)), full_matrices=False)
    a, b, c = vectors[2]
    a /= 2 * math.sqrt(mean)
    if abs(a) < 1e-9:  # noqa: PLR2004 - radius beyond any picture
        return None
    d = -mean * a
    radius = math.sqrt(max(b * b + c * c - 4 * a * d, 0)) / (2 * abs(a))
    return float(middle[0] - b / (2 * a)), float(middle[1] - c / (2 * a)), radius
