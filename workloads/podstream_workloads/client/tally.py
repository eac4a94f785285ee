"""Counts what became of the frames, over all connections of one run."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """Figures of a run; every decoded frame is counted once as received."""

    received: int = 0
    """Frames that were decoded."""
    dropped: int = 0
    """Of those, replaced by a newer one before the estimator was free, or left out on purpose."""
    estimated: int = 0
    """Reports with a position that were sent."""
    missed: int = 0
    """Reports of a frame without a ball that were sent."""
    unsent: int = 0
    """Frames whose report could not be sent: the channel was not open, or congested."""
    connections: int = 0
    codec: str | None = None
    _first_at: float | None = field(default=None, repr=False)
    _last_at: float = field(default=0.0, repr=False)

    @property
    def reported(self) -> int:
        """Reports that were sent."""
        return self.estimated + self.missed

    def report(self, position: tuple[float, float] | None, *, sent: bool, now: float) -> None:
        """Count a frame that the estimator has looked at; `now` in seconds."""
        if not sent:
            self.unsent += 1
            return
        if position is None:
            self.missed += 1
        else:
            self.estimated += 1
        if self._first_at is None:
            self._first_at = now
        self._last_at = now

    def summary(self, *, seconds: float) -> dict[str, Any]:
        """The figures for people and tests; `seconds` is how long the run took."""
        span_s = self._last_at - (self._first_at or 0.0)
        fps = (self.reported - 1) / span_s if self.reported > 1 and span_s > 0 else None
        return {
            "framesReceived": self.received,
            "framesDropped": self.dropped,
            "framesEstimated": self.estimated,
            "framesMissed": self.missed,
            "framesUnsent": self.unsent,
            "fps": None if fps is None else round(fps, 2),
            "codec": self.codec,
            "connections": self.connections,
            "seconds": round(seconds, 3),
        }
