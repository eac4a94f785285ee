"""IDF1 (Ristani et al., 2016), and how many ids a person got.

Each person is given the one id that fits them for most frames, over the whole run; what that
explains is right, all else is wrong.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from podstream_workloads.tracking.metrics.clear import LEAST_OVERLAP
from podstream_workloads.tracking.metrics.matching import Pairing, best_pairs


@dataclass(frozen=True, slots=True)
class Identity:
    """Counts of a run."""

    right: int
    truth_boxes: int
    result_boxes: int
    ids_per_person: float
    """Mean number of ids that ever fitted a person; 1 at best, 0 where nobody was found."""

    @property
    def idf1(self) -> float:
        """0 to 1."""
        total = self.truth_boxes + self.result_boxes
        return 2.0 * self.right / total if total else 0.0


def identity(frames: Iterable[Pairing]) -> Identity:
    """Go through a run."""
    together: Counter[tuple[int, int]] = Counter()
    truth: Counter[int] = Counter()
    result: Counter[int] = Counter()
    for frame in frames:
        truth.update(frame.truth)
        result.update(frame.result)
        for row, column in np.argwhere(frame.similarity >= LEAST_OVERLAP):
            together[frame.truth[row], frame.result[column]] += 1
    rows = {who: row for row, who in enumerate(truth)}
    columns = {given: column for column, given in enumerate(result)}
    table = np.zeros((len(rows), len(columns)))
    for (who, given), count in together.items():
        table[rows[who], columns[given]] = count
    right = sum(int(table[row, column]) for row, column in best_pairs(table))
    # One stray frame of overlap while two pass each other is no second id.
    lasting = [who for (who, _), count in together.items() if count >= 0.05 * truth[who]]
    people = len(set(lasting))
    each = len(lasting) / people if people else 0.0
    return Identity(right, truth.total(), result.total(), each)
