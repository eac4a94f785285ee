"""Counts what came from the publisher."""

from collections import Counter, deque
from typing import Final

from podstream_core.api import StreamResults
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.geometry import suspected_width

_WINDOW: Final = 60
"""Frames whose arrival gives the rate."""
_LOOK_EVERY: Final = 30
_LOOKS: Final = 5
"""Looks at a picture's geometry that must agree before it is called wrong."""


class Statistics:
    """Figures over all connections of a session."""

    def __init__(self, *, checks_width: bool = True) -> None:
        """Begin at zero; `checks_width` looks whether raw frames have the declared width."""
        self._checks_width = checks_width
        self._frames = 0
        self._bytes = 0
        self._discarded = 0
        self._incomplete = 0
        self._arrivals: deque[float] = deque(maxlen=_WINDOW + 1)
        self._rate: float | None = None
        self._widths: deque[int] = deque(maxlen=_LOOKS)
        self._declared: int | None = None

    @property
    def frames(self) -> int:
        """Whole frames so far."""
        return self._frames

    def received(self, count: int) -> None:
        """Bytes have come."""
        self._bytes += count

    def frame(self, frame: Frame, *, now: float) -> None:
        """A frame is whole.

        Args:
            frame: its pixels; looked at now and then, not kept.
            now: seconds on a monotonic clock.
        """
        self._declared = frame.shape[1]
        if self._checks_width and self._frames % _LOOK_EVERY < _LOOKS:
            self._widths.append(suspected_width(frame))
        self._frames += 1
        self._arrivals.append(now)
        seconds = now - self._arrivals[0]
        if seconds > 0:
            self._rate = (len(self._arrivals) - 1) / seconds

    def discarded(self) -> None:
        """A frame is whole that nobody wants. The pause is no slow rate."""
        self._discarded += 1
        self._arrivals.clear()

    def ended(self, *, filled: int) -> None:
        """A connection is over, so many bytes into a frame. Its rate stays until the next one's."""
        self._incomplete += filled > 0
        self._arrivals.clear()

    def results(self) -> StreamResults:
        """The figures so far."""
        return StreamResults(
            frames_received=self._frames,
            bytes_received=self._bytes,
            frames_per_second=self._rate,
            frames_discarded=self._discarded,
            incomplete_frames=self._incomplete,
            suspected_width=self._suspicion(),
        )

    def _suspicion(self) -> int | None:
        if len(self._widths) < _LOOKS:
            return None
        width, agreed = Counter(self._widths).most_common(1)[0]
        return width if agreed == _LOOKS and width != self._declared else None
