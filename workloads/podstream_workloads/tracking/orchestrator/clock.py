"""The two times the orchestrator lives by; tests set their own."""

import time
from typing import Protocol


class Clock(Protocol):
    """Durations by one clock, dates by the other."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, never set back."""

    def utc(self) -> float:
        """Seconds since 1970-01-01 UTC."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def utc(self) -> float:
        """See `Clock`."""
        return time.time()
