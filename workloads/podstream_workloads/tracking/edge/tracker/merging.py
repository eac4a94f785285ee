"""Two people inside one detection: who is on which side."""

from collections.abc import Sequence
from typing import Final

from podstream_workloads.tracking.edge.detectors.base import Rect
from podstream_workloads.tracking.edge.tracker.tracks import Appearance, Describe

_WIDE: Final = 1.4  # of a member's width: below, they hide each other and sides mean nothing
_SURE: Final = 0.05  # difference of similarities from which appearance knows better than motion

Pair = tuple[Rect, Rect]


def places(
    believed: Pair,
    together: Rect,
    *,
    known: Sequence[Appearance | None],
    describe: Describe | None,
) -> Pair | None:
    """Where each of two is inside a detection that both share; `None` where that cannot be told.

    The detection ends where the outer sides of the two are, so each keeps the width that is known
    of it. Which is left, appearance says where both are known and look different, else motion.
    """
    widths = [rect[2] - rect[0] for rect in believed]
    if together[2] - together[0] < _WIDE * 0.5 * sum(widths):
        return None
    middles = [rect[0] + rect[2] for rect in believed]
    first = 0 if middles[0] <= middles[1] else 1
    kept, swapped = (
        _sides(believed, together, left=first),
        _sides(believed, together, left=1 - first),
    )
    if describe is not None and known[0] is not None and known[1] is not None:
        likeness = [_likeness(pair, (known[0], known[1]), describe) for pair in (kept, swapped)]
        if likeness[1] > likeness[0] + _SURE:
            return swapped
    return kept


def _sides(believed: Pair, together: Rect, *, left: int) -> Pair:
    x1, y1, x2, y2 = together
    placed = []
    for index, rect in enumerate(believed):
        width = min(rect[2] - rect[0], x2 - x1)
        low, high = max(y1, min(rect[1], y2 - 1.0)), min(y2, max(rect[3], y1 + 1.0))
        start = x1 if index == left else x2 - width
        placed.append((start, low, start + width, max(high, low + 1.0)))
    return placed[0], placed[1]


def _likeness(places: Pair, known: tuple[Appearance, Appearance], describe: Describe) -> float:
    looks = [describe(place) for place in places]
    return sum(
        0.0 if look is None else float(look @ one) for look, one in zip(looks, known, strict=True)
    )
