"""The last durations of one kind, and what is said about them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Spread:
    """Five numbers of a box plot, in milliseconds, and how many durations they stand for."""

    count: int
    low: float
    """Least within 1.5 interquartile ranges of the box (Tukey 1977)."""
    lower: float
    median: float
    upper: float
    high: float
    outliers: tuple[float, ...] = ()


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie, linear in between."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> Spread | None:
    """The box plot of some values; `None` without any."""
    if not values:
        return None
    ordered = sorted(values)
    lower, median, upper = (quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    reach = 1.5 * (upper - lower)
    inside = [value for value in ordered if lower - reach <= value <= upper + reach]
    outside = [value for value in ordered if not lower - reach <= value <= upper + reach]
    return Spread(len(ordered), inside[0], lower, median, upper, inside[-1], tuple(outside[-20:]))


class Durations:
    """The last durations, bounded."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._values: deque[float] = deque(maxlen=kept)

    def add(self, seconds: float) -> None:
        """Note one."""
        self._values.append(seconds * 1e3)

    def milliseconds(self) -> tuple[float, ...]:
        """Those kept, oldest first."""
        return tuple(self._values)

    def median_ms(self) -> float | None:
        """The median of those kept; `None` without any."""
        return quantile(sorted(self._values), 0.5) if self._values else None
