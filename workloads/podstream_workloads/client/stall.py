"""Notices that packets arrive and nothing comes out of the decoder. Pure: every call gets `now`.

aiortc asks for a key frame on a decoding error or when its jitter buffer overflows, which takes
seconds at the packet rates of a small picture; a lost packet freezes the picture until then.
"""

from collections import deque
from typing import Final

_MIN_STALL_S: Final = 0.25
_INTERVALS: Final = 3
_REQUEST_PERIOD_S: Final = 1.0
_CLOCK_RATE: Final = 90_000


class StallDetector:
    """Says when to ask for a key frame."""

    def __init__(self) -> None:
        self._arrived: object = None
        self._waiting_since: float | None = None
        self._asked_at = float("-inf")
        self._last_pts: int | None = None
        self._steps: deque[int] = deque(maxlen=8)

    def packets(self, latest: object, *, now: float) -> None:
        """Note the arrival time of the latest packet, in any form that changes with it."""
        if latest != self._arrived:
            self._arrived = latest
            if self._waiting_since is None:
                self._waiting_since = now

    def decoded(self, pts: int) -> None:
        """Note a decoded frame; ticks of 1/90000 s."""
        self._waiting_since = None
        if self._last_pts is not None and pts > self._last_pts:
            self._steps.append(pts - self._last_pts)
        self._last_pts = pts

    def take_request(self, *, now: float) -> bool:
        """Whether to ask now; at most once a second."""
        if self._waiting_since is None or now - self._waiting_since <= self._limit_s:
            return False
        if now - self._asked_at < _REQUEST_PERIOD_S:
            return False
        self._asked_at = now
        return True

    @property
    def _limit_s(self) -> float:
        interval_s = min(self._steps, default=0) / _CLOCK_RATE
        return max(_MIN_STALL_S, _INTERVALS * interval_s)
