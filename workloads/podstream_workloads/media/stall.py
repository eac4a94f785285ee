"""When a receiver must ask for a key frame: packets come, and no picture does. Pure: no clock."""

from typing import Final

_LEAST_S: Final = 0.25
_INTERVALS: Final = 3
_MOST_INTERVAL_S: Final = 2.0
_ASK_S: Final = 1.0
_SMOOTHING: Final = 0.2


class StallWatch:
    """Silence longer than three usual intervals, and than 0.25 s, while packets arrive."""

    def __init__(self) -> None:
        self._decoded_at: float | None = None
        self._silent_since: float | None = None
        self._interval: float | None = None
        self._fresh = True
        self._packets = 0
        self._asked_at: float | None = None

    @property
    def decoded_at(self) -> float | None:
        """When the last picture came; `None` before the first."""
        return self._decoded_at

    def decoded(self, now: float) -> None:
        """A picture came out of the decoder."""
        if self._decoded_at is not None:
            interval = min(now - self._decoded_at, _MOST_INTERVAL_S)
            usual = interval if self._interval is None else self._interval
            self._interval = usual + _SMOOTHING * (interval - usual)
        self._decoded_at = self._silent_since = now
        self._fresh = True

    def is_due(self, *, packets: int, now: float) -> bool:
        """Whether to ask now, at most once a second; `packets` were received so far."""
        if self._fresh:
            self._fresh, self._packets = False, packets
            if self._silent_since is None:
                self._silent_since = now
            return False
        assert self._silent_since is not None  # set with the first look
        silent = now - self._silent_since
        longest = max(_INTERVALS * (self._interval or 0.0), _LEAST_S)
        if packets <= self._packets or silent < longest:
            return False
        if self._asked_at is not None and now - self._asked_at < _ASK_S:
            return False
        self._asked_at = now
        return True
