"""Figures as people compare them, and a machine that is fit for taking them."""

import asyncio
import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import psutil

BUSY_PERCENT: Final = 45.0
"""Of all processors; a cluster with forty pods that do nothing takes a third of two."""


@dataclass(frozen=True)
class Quantiles:
    """Durations in milliseconds, and of how many samples they come."""

    count: int
    p50: float
    p90: float
    p99: float
    largest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        """Quantiles of durations in seconds; there must be at least one."""
        found = sorted(value * 1e3 for value in seconds)
        if len(found) == 1:
            found *= 2
        cuts = statistics.quantiles(found, n=100, method="inclusive")
        return cls(len(found), cuts[49], cuts[89], cuts[98], found[-1])

    def __str__(self) -> str:
        return (
            f"n {self.count:>4}  p50 {self.p50:>7.0f}  p90 {self.p90:>7.0f}  "
            f"p99 {self.p99:>7.0f}  max {self.largest:>7.0f} ms"
        )


def machine() -> str:
    """The machine's shape and its load now."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


async def quiet(*, timeout_s: float = 120.0, window_s: float = 2.0) -> bool:
    """Wait until the processors were mostly idle for a moment; whether they were, in time.

    Pods that have just become ready still import and are still probed: a figure taken at once is
    one of their start.
    """
    for _ in range(max(1, round(timeout_s / window_s))):
        if await asyncio.to_thread(psutil.cpu_percent, window_s) <= BUSY_PERCENT:
            return True
    return False
