"""The true position of every frame of the last seconds, by frame index."""

from collections import OrderedDict
from dataclasses import dataclass

KEEP_S = 20.0
"""An estimate that comes later than this is counted as unmatched.

Stock aiortc's jitter buffer waits for what was lost until it holds 512 packets: after a pause of
the network a client of a small picture, one packet a frame, may stay up to 17 s behind for good.
"""
SETTLED_S = 1.0
"""A frame younger than this may still be under way and is not called lost yet."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One frame as it was drawn."""

    index: int
    x: float
    y: float
    drawn_at: float
    """Seconds of the monotonic clock."""


class TruthRing:
    """Bounded memory of what was drawn: an entry leaves when it is matched or too old."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, Truth] = OrderedDict()

    def add(self, truth: Truth) -> None:
        """Remember a frame and forget those older than `KEEP_S`."""
        self._frames[truth.index] = truth
        while self._frames:
            oldest = next(iter(self._frames.values()))
            if truth.drawn_at - oldest.drawn_at <= KEEP_S:
                break
            del self._frames[oldest.index]

    def take(self, index: int) -> Truth | None:
        """Remove and return a frame; `None` where it is unknown, matched already or too old."""
        return self._frames.pop(index, None)

    def unsettled(self, now: float) -> int:
        """Frames that are too young to be called lost."""
        return sum(1 for truth in self._frames.values() if now - truth.drawn_at < SETTLED_S)
