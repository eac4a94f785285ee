"""How many frames a second a connection can use: what it asked for, or what its slowest stage does.

Every stage of the media path drops what it is too slow for, so nothing queues up at our own ends.
But a frame that is dropped in the end was drawn, encoded, sent and decoded for nothing, and a
client that is not ours may queue. So the sender slows down to what is used. Pure: no clock.
"""

import math
from collections import deque
from statistics import median
from typing import Final

_SAMPLES: Final = 15
_LEAST_SAMPLES: Final = 5
_SENDER_SHARE: Final = 0.9
"""Encoding and sending are one chain that waits for nothing else; what is late is skipped."""
_CLIENT_SHARE: Final = 0.7
"""The client decodes besides, and shares its processor."""
_RAISE: Final = 1.25
_RAISE_AFTER_S: Final = 1.0
_DRAINED_RAISE: Final = 1.1
_DRAINED_AFTER_S: Final = 3.0
"""A client that had a queue is tried with more only so slowly, and not before that is gone."""
_BEHIND_S: Final = 0.3
_CREEP_S: Final = 0.02
_CREEP_SHARE: Final = 0.85
_LEAST_DRAINED: Final = 5.0
"""Frames/s; fewer help no client that loses packets and waits for others behind them."""
_WINDOW_S: Final = 1.0
_GROWTH_S: Final = 0.15
"""Latency that was added within a window: somewhere a queue grows."""
_ANSWERED: Final = 0.85
"""Share of answered frames below which the client does not keep up."""
LEAST_FPS: Final = 1.0


class RateGovernor:
    """Lowers the rate at once; raises it at once to what the sender does, else step by step.

    What sending takes is known. What more frames would do to a client is not: a quarter more every
    second shows it. Medians of the last frames, half a second of them but 5 to 15: one frame that
    the machine was too busy for says nothing. Times are seconds of one clock, the caller's.
    """

    def __init__(self, *, fps: float) -> None:
        self._asked = fps
        self.fps = fps
        """Frames per second to send now."""
        self._sending: deque[float] = deque(maxlen=_SAMPLES)
        self._looking: deque[float] = deque(maxlen=_SAMPLES)
        self._client_fps = fps
        self._raise_at = 0.0
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
        most = min(self._asked, self._limit(self._looking, _CLIENT_SHARE))
        if most < self._client_fps:
            self._client_fps, self._raise_at = most, now + _RAISE_AFTER_S
        elif self._client_fps < most and now >= self._raise_at:
            self._client_fps = min(most, self._client_fps * _RAISE)
            self._raise_at = now + _RAISE_AFTER_S
        sender_fps = self._limit(self._sending, _SENDER_SHARE)
        self.fps = min(self._client_fps, sender_fps, self._queue.limit(self._asked, now))

    def _limit(self, samples: deque[float], share: float) -> float:
        """What a stage can do in its share of the time."""
        count = max(_LEAST_SAMPLES, min(_SAMPLES, round(self.fps / 2)))
        usual = median(list(samples)[-count:]) if len(samples) >= count else 0.0
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
        self._least = math.inf
        self._fps = math.inf
        self._raise_at = 0.0

    def limit(self, asked: float, now: float) -> float:
        """Frames per second that leave no queue."""
        if self._begun is None:
            self._begun = now
        lasted = now - self._begun
        if lasted < _WINDOW_S:
            return min(asked, self._fps)
        count, sent, before = len(self.answers), self.sent, self._latency
        latency = median(self.answers) if self.answers else None
        self._begun, self._latency, self.answers, self.sent = now, latency, [], 0
        if latency is None:
            return min(asked, self._fps)
        self._least = min(self._least, latency)
        growth = 0.0 if before is None else latency - before
        is_behind = latency > self._least + _BEHIND_S
        if growth > _GROWTH_S and count < _ANSWERED * sent:
            self._lower(_CLIENT_SHARE * count / lasted, now)
        elif is_behind and growth > _CREEP_S and count < sent:
            self._lower(_CREEP_SHARE * count / lasted, now)
        elif not is_behind and now >= self._raise_at:
            self._fps = min(asked, self._fps * _DRAINED_RAISE)
            self._raise_at = now + _DRAINED_AFTER_S
        return min(asked, self._fps)

    def _lower(self, fps: float, now: float) -> None:
        self._fps = min(self._fps, max(_LEAST_DRAINED, fps))
        self._raise_at = now + _DRAINED_AFTER_S
