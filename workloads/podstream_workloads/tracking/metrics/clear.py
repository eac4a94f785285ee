"""CLEAR MOT (Bernardin and Stiefelhagen, 2008): misses, false positives, switches of identity.

A pair of the last frame stays together while its boxes still overlap by half; only the rest is
matched anew. A switch is a person who is matched to another id than the last time they were
matched, however long ago, as motmetrics counts it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from podstream_workloads.tracking.metrics.matching import Pairing, best_pairs

LEAST_OVERLAP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Clear:
    """Counts of a run."""

    truth_boxes: int
    result_boxes: int
    matches: int
    switches: int
    overlap_sum: float

    @property
    def misses(self) -> int:
        """Boxes of truth without a result."""
        return self.truth_boxes - self.matches

    @property
    def false_positives(self) -> int:
        """Results without truth."""
        return self.result_boxes - self.matches

    @property
    def mota(self) -> float:
        """1 at best, without a lower bound; 0 where there is no truth."""
        wrong = self.misses + self.false_positives + self.switches
        return 1.0 - wrong / self.truth_boxes if self.truth_boxes else 0.0

    @property
    def motp(self) -> float:
        """Mean intersection over union of matches; motmetrics gives 1 minus this."""
        return self.overlap_sum / self.matches if self.matches else 0.0


def clear(frames: Iterable[Pairing]) -> Clear:
    """Go through a run."""
    truth_boxes = result_boxes = matches = switches = 0
    overlap_sum = 0.0
    known: dict[int, int] = {}
    for frame in frames:
        truth_boxes += len(frame.truth)
        result_boxes += len(frame.result)
        pairs = _frame_pairs(frame, known)
        for row, column in pairs:
            who, given = frame.truth[row], frame.result[column]
            switches += known.get(who, given) != given
            known[who] = given
            overlap_sum += float(frame.similarity[row, column])
        matches += len(pairs)
    return Clear(truth_boxes, result_boxes, matches, switches, overlap_sum)


def _frame_pairs(frame: Pairing, known: dict[int, int]) -> list[tuple[int, int]]:
    columns = {identity: column for column, identity in enumerate(frame.result)}
    fits = frame.similarity >= LEAST_OVERLAP
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for row, who in enumerate(frame.truth):
        column = columns.get(known.get(who, -1), -1) if who in known else -1
        if column >= 0 and column not in taken and fits[row, column]:
            pairs.append((row, column))
            taken.add(column)
    rows = [row for row in range(len(frame.truth)) if row not in {row for row, _ in pairs}]
    rest = [column for column in range(len(frame.result)) if column not in taken]
    # A match counts for more than any sum of overlaps: first as many as possible, then the best.
    left = np.ix_(rows, rest)
    score = np.where(fits[left], 1000.0 + frame.similarity[left], 0.0)
    chosen = ((rows[row], rest[column]) for row, column in best_pairs(score))
    return pairs + [(row, column) for row, column in chosen if fits[row, column]]
