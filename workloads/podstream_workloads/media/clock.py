"""When each frame is due: an absolute clock that skips what is too late, never shifts it.

Frame `n` is due `n / fps` seconds after the start. A sender that was held up goes on with the frame
that is due now; the presentation times of frames never move, so latency does not grow.
"""

import math
from dataclasses import dataclass

_ROUNDING = 1e-6
VIDEO_CLOCK_RATE = 90_000
"""Ticks per second of RTP timestamps for video (RFC 3551)."""


@dataclass(frozen=True, slots=True)
class Due:
    """The next frame to send."""

    index: int
    wait_s: float
    """Seconds until it is due; 0 where it is due already."""
    skipped: int
    """Frames between the last one and this one that were due and are not sent."""


class FrameClock:
    """Says which frame comes next. Knows no time of its own: every call gets `now`, seconds."""

    def __init__(self, *, fps: int, start: float) -> None:
        self._fps = fps
        self._start = start
        self._last = -1
        self._ideal = -1.0

    def next(self, now: float, *, rate: float | None = None) -> Due:
        """The frame after the last one, or a later one where that is overdue by a whole frame.

        With a rate (frames/s) below the clock's, only so many frames are used, evenly spread.
        """
        current = int((now - self._start) * self._fps)
        ideal = self._ideal + (self._fps / rate if rate and rate < self._fps else 1)
        index = max(self._last + 1, current, math.ceil(ideal - _ROUNDING))
        self._ideal = ideal if index - ideal < 1 else index
        skipped = index - self._last - 1
        self._last = index
        return Due(index, max(0.0, self._start + index / self._fps - now), skipped)


def pts_of(index: int, *, fps: int) -> int:
    """Presentation time of a frame in ticks of the video clock."""
    return round(index * VIDEO_CLOCK_RATE / fps)


def index_of(pts: int, *, fps: int, tolerance: int = 2) -> int | None:
    """The frame whose presentation time this is.

    Browsers round RTP timestamps: steps of 2999, 3000 and 3001 ticks occur at 30 frames/s, hence a
    tolerance in ticks. `None` where no frame is that close.
    """
    index = round(pts * fps / VIDEO_CLOCK_RATE)
    return index if abs(pts_of(index, fps=fps) - pts) <= tolerance else None
