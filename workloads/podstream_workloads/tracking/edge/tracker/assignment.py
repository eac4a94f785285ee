"""Which track goes with which detection: the cheapest one-to-one choice below a limit."""

import lap
import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64], *, limit: float) -> list[tuple[int, int]]:
    """Pairs of row and column of least total cost, none dearer than `limit`.

    Solves what is contested by the Jonker-Volgenant algorithm (`lap`); where no row and no column
    has two candidates, which is most frames, there is nothing to solve.
    """
    if not cost.size:
        return []
    possible = cost <= limit
    if possible.sum(axis=0).max() <= 1 and possible.sum(axis=1).max() <= 1:
        return [(int(row), int(column)) for row, column in np.argwhere(possible)]
    _, columns, _ = lap.lapjv(np.minimum(cost, limit + 1.0), extend_cost=True, cost_limit=limit)
    chosen = ((row, int(column)) for row, column in enumerate(columns) if column >= 0)
    return [(row, column) for row, column in chosen if possible[row, column]]
