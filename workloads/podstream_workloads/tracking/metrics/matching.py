"""Truth and results of each frame side by side, and the one-to-one choices between them."""

from collections.abc import Iterator
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.metrics.mot import Rect, Sequence

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """One frame."""

    frame: int
    truth: tuple[int, ...]
    result: tuple[int, ...]
    similarity: Floats
    """Intersection over union, truth x result."""


def pairings(truth: Sequence, result: Sequence) -> Iterator[Pairing]:
    """Every frame that either knows, in order."""
    for frame in sorted(set(truth) | set(result)):
        wanted, given = truth.get(frame, {}), result.get(frame, {})
        table = similarity(list(wanted.values()), list(given.values()))
        yield Pairing(frame, tuple(wanted), tuple(given), table)


def similarity(one: list[Rect], other: list[Rect]) -> Floats:
    """Intersection over union of each with each."""
    a = np.array(one, dtype=np.float64).reshape(-1, 1, 4)
    b = np.array(other, dtype=np.float64).reshape(1, -1, 4)
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0)
    shared = sides[..., 0] * sides[..., 1]
    sizes = [(boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]) for boxes in (a, b)]
    return np.asarray(shared / np.maximum(sizes[0] + sizes[1] - shared, 1e-12))


def best_pairs(score: Floats) -> list[tuple[int, int]]:
    """The one-to-one choice with the greatest sum, as many pairs as the shorter side has."""
    if not score.size:
        return []
    _, columns, _ = lap.lapjv(score.max() - score, extend_cost=True)
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]
