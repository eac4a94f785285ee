"""How many frames a second a connection can use: what it asked for, or what its slowest stage does.

Every stage of the media path drops what it is too slow for, so nothing queues up at our own ends.
But a frame that is dropped in the end was drawn, encoded, sent and decoded for nothing, and a
client that is not ours may queue. So the sender slows down to what is used. Pure: no clock.
"""

from collections import deque
from statistics import median
from typing import Final

_SAMPLES: Final = 15
_SENDER_SHARE: Final = 0.9
"""Encoding and sending are one chain that waits for nothing else; what is late is skipped."""
_CLIENT_SHARE: Final = 0.7
"""The client decodes besides, and shares its processor."""
_RAISE: Final = 1.1
_RAISE_AFTER_S: Final = 3.0
_WINDOW_S: Final = 1.0
_GROWTH_S: Final = 0.15
"""Latency that was added within a window: somewhere a queue grows."""
_ANSWERED: Final = 0.85
"""Share of answered frames below which the client does not keep up."""
LEAST_FPS: Final = 1.0


class RateGovernor:
    """Lowers the rate at once, raises it by a tenth every 3 s.

    Medians of the last 15 samples: one frame that the machine was too busy for says nothing.
    Times are seconds of one clock, the caller's.
    """

    def __init__(self, *, fps: float) -> None:
        self._asked = fps
        self.fps = fps
        """Frames per second to send now."""
        self._sending: deque[float] = deque(maxlen=_SAMPLES)
        self._looking: deque[float] = deque(maxlen=_SAMPLES)
        self._changed_at: float | None = None
        self._queue = _QueueWatch()

    def sent(self, seconds: float, *, now: float) -> None:
        """A frame was encoded and its packets have left, after so long."""
        self._sending.append(seconds)
        self._queue.sent += 1
        self._settle(now)

    def looked(self, seconds: float) -> None:
        """A client says how long it took to look at a frame."""
        self._looking.append(seconds)

    def answered(self, latency_s: float) -> None:
        """An answer came, so long after its frame was drawn."""
        self._queue.answers.append(latency_s)

    def _settle(self, now: float) -> None:
        most = min(
            self._asked,
            self._limit(self._sending, _SENDER_SHARE),
            self._limit(self._looking, _CLIENT_SHARE),
        )
        if self._changed_at is None:
            self._changed_at = now
        rate = self._queue.rate_to_drain(now)
        if rate is not None:
            most = min(most, max(rate * _CLIENT_SHARE, LEAST_FPS))
        if most < self.fps:
            self.fps, self._changed_at = most, now
        elif self.fps < most and now - self._changed_at >= _RAISE_AFTER_S:
            self.fps, self._changed_at = min(most, self.fps * _RAISE), now

    def _limit(self, samples: deque[float], share: float) -> float:
        """What a stage can do in its share of the time."""
        usual = median(samples) if len(samples) == _SAMPLES else 0.0
        return max(LEAST_FPS, share / usual) if usual > 0 else self._asked


class _QueueWatch:
    """Notices a queue at a client that says nothing: fewer answers than frames, each later.

    Lost packets alone cost answers but no time; a way that became longer costs time but no answers.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.answers: list[float] = []
        self._begun: float | None = None
        self._latency: float | None = None

    def rate_to_drain(self, now: float) -> float | None:
        """Answers per second of the last window, where a queue grew in it; once a window."""
        if self._begun is None:
            self._begun = now
        lasted = now - self._begun
        if lasted < _WINDOW_S:
            return None
        count, sent, before = len(self.answers), self.sent, self._latency
        latency = median(self.answers) if self.answers else None
        self._begun, self._latency, self.answers, self.sent = now, latency, [], 0
        if latency is None or before is None:
            return None
        is_growing = latency - before > _GROWTH_S and count < _ANSWERED * sent
        return count / lasted if is_growing else None
