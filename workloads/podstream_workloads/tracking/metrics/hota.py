"""HOTA (Luiten et al., 2021): detection and association in equal parts, over 19 thresholds.

The order of work is TrackEval's, whose numbers it must give: ids are aligned over the whole run
first, frames are then matched by alignment times similarity, and each threshold counts the matches
that reach it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from podstream_workloads.tracking.metrics.matching import Floats, Pairing, best_pairs

THRESHOLDS: Final = np.arange(0.05, 0.99, 0.05)
_EPSILON: Final = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Hota:
    """Means over the thresholds, each 0 to 1."""

    hota: float
    detection: float
    association: float


def hota(frames: Iterable[Pairing]) -> Hota:
    """Go through a run."""
    run = list(frames)
    rows = _places(frame.truth for frame in run)
    columns = _places(frame.result for frame in run)
    if not rows or not columns:
        return Hota(0.0, 0.0, 0.0)
    truth, result = np.zeros(len(rows)), np.zeros(len(columns))
    shared = np.zeros((len(rows), len(columns)))
    for frame in run:
        at = _at(frame, rows, columns)
        truth[at[0].ravel()] += 1
        result[at[1].ravel()] += 1
        table = frame.similarity
        union = table.sum(axis=0)[None, :] + table.sum(axis=1)[:, None] - table
        shared[at] += np.where(union > _EPSILON, table / np.maximum(union, _EPSILON), 0.0)
    alignment = shared / (truth[:, None] + result[None, :] - shared)
    together = np.zeros((len(THRESHOLDS), len(rows), len(columns)))
    for frame in run:
        at = _at(frame, rows, columns)
        for row, column in best_pairs(alignment[at] * frame.similarity):
            reached = frame.similarity[row, column] >= THRESHOLDS - _EPSILON
            together[reached, rows[frame.truth[row]], columns[frame.result[column]]] += 1
    return _scores(together, truth, result)


def _scores(together: Floats, truth: Floats, result: Floats) -> Hota:
    hits = together.sum(axis=(1, 2))
    detection = hits / np.maximum(1.0, truth.sum() + result.sum() - hits)
    fit = together / np.maximum(1.0, truth[:, None] + result[None, :] - together)
    association = (together * fit).sum(axis=(1, 2)) / np.maximum(1.0, hits)
    both = np.sqrt(detection * association)
    return Hota(float(both.mean()), float(detection.mean()), float(association.mean()))


def _places(frames: Iterable[tuple[int, ...]]) -> dict[int, int]:
    places: dict[int, int] = {}
    for ids in frames:
        for identity in ids:
            places.setdefault(identity, len(places))
    return places


def _at(
    frame: Pairing, rows: dict[int, int], columns: dict[int, int]
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.intp]], ...]:
    return np.ix_([rows[one] for one in frame.truth], [columns[one] for one in frame.result])
