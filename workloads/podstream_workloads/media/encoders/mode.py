"""Decisions of an encoder, without any codec: when quality gives way, when a key frame is due."""

from collections import deque
from enum import Enum

_WINDOW_S = 1.0
_FIRST_HOLD_S = 10.0
_MOST_HOLD_S = 160.0
_TOLERANCE = 1.2
"""A codec that keeps a rate does so over seconds, not in each one."""
_KEY_FRAME_S = 1.0
_MOST_KEY_FRAME_S = 2.0


class Mode(Enum):
    """What the encoder aims at."""

    QUALITY = "quality"
    """A picture that is near the original, whatever that costs below the budget."""
    RATE = "rate"
    """The budget, whatever the picture looks like."""


class ModeGovernor:
    """Lets the quality cap go as soon as the last second went over the budget.

    A later try to raise it again is a key frame, and a while over the budget where it fails: the
    time between tries doubles from 10 s to 160 s.
    """

    def __init__(self) -> None:
        self.mode = Mode.QUALITY
        self._sent: deque[tuple[float, int]] = deque()
        self._bits = 0
        self._started: float | None = None
        self._changed = 0.0
        self._hold_s = _FIRST_HOLD_S

    def sent(self, bits: int, *, now: float, budget: int) -> Mode:
        """Count a frame that is no key frame; the mode for the next one.

        A key frame may fill a good part of a second's budget, and is none of the picture's doing.

        Args:
            bits: size of the encoded frame.
            now: its presentation time, seconds.
            budget: bit/s.
        """
        if self._started is None:
            self._started = self._changed = now
        self._sent.append((now, bits))
        self._bits += bits
        while self._sent and self._sent[0][0] <= now - _WINDOW_S:
            self._bits -= self._sent.popleft()[1]
        is_over = self._bits > _TOLERANCE * budget * _WINDOW_S
        if self.mode is Mode.QUALITY and is_over:
            if now - self._changed > 2 * _FIRST_HOLD_S:
                self._hold_s = _FIRST_HOLD_S
            self._enter(Mode.RATE, now)
        elif self.mode is Mode.RATE and now - self._changed >= self._hold_s:
            self._hold_s = min(_MOST_HOLD_S, 2 * self._hold_s)
            self._enter(Mode.QUALITY, now)
        return self.mode

    def _enter(self, mode: Mode, now: float) -> None:
        self.mode, self._changed = mode, now
        self._sent.clear()
        self._bits = 0


class KeyFrameGate:
    """Key frames on demand, at most one a second; a demand that comes too early is kept.

    Without any demand there is one every 2 s of the stream, however few its frames are.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._is_wanted = False

    def is_due(self, *, asked: bool, now: float) -> bool:
        """Whether the frame at `now` (seconds) shall be a key frame."""
        self._is_wanted = self._is_wanted or asked
        if self._last is None:
            # The first frame of an encoder is one anyway.
            self._last, self._is_wanted = now, False
            return False
        if now - self._last < (_KEY_FRAME_S if self._is_wanted else _MOST_KEY_FRAME_S):
            return False
        self._last, self._is_wanted = now, False
        return True

    def made(self, *, now: float) -> None:
        """The encoder made one of its own accord."""
        self._last, self._is_wanted = now, False


_STEP = 1.5
_STEP_HOLD_S = 2.0


class SteppedRate:
    """Follows a budget in steps of half as much again, for codecs that restart to change it."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._changed: float | None = None

    def follow(self, budget: int, *, now: float) -> bool:
        """Whether the rate was changed to the budget."""
        if 1 / _STEP < budget / self.rate < _STEP:
            return False
        if self._changed is not None and now - self._changed < _STEP_HOLD_S:
            return False
        self.rate, self._changed = budget, now
        return True
