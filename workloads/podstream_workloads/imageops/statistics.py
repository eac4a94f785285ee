"""Counts what the services have done, for `status.results.imageOps`. Safe to use from threads."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from podstream_core.api import (
    ImageOperationCounts,
    ImageOpsResults,
    ImageRejections,
    LatencyMs,
)

_BUCKETS_PER_E: Final = 40
"""Buckets of the latencies grow by 2.5 % each: no percentile is off by more."""
_LEAST_MS: Final = 0.01


class Rejection(StrEnum):
    """Why a call got no result; members of `ImageRejections`."""

    INVALID = "invalid"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    LATE = "late"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Statistics:
    """Figures of one session."""

    def __init__(self, *, on_change: Callable[[], None] = lambda: None) -> None:
        """`on_change` is called on whichever thread has changed a figure."""
        self._on_change = on_change
        self._lock = threading.Lock()
        self._rejected: Counter[str] = Counter()
        self._operations: Counter[str] = Counter()
        self._latencies: Counter[int] = Counter()
        self._calls = self._bytes_in = self._bytes_out = self._pixels = 0

    def answered(
        self,
        *,
        operations: Iterable[str],
        bytes_in: int,
        bytes_out: int,
        pixels: int,
        seconds: float,
    ) -> None:
        """A picture was answered with a result."""
        with self._lock:
            self._calls += 1
            self._operations.update(operations)
            self._bytes_in += bytes_in
            self._bytes_out += bytes_out
            self._pixels += pixels
            self._latencies[_bucket(seconds * 1000)] += 1
        self._on_change()

    def rejected(self, reason: Rejection) -> None:
        """A call got no result."""
        with self._lock:
            self._rejected[reason.value] += 1
        self._on_change()

    def results(self) -> ImageOpsResults:
        """The figures so far."""
        with self._lock:
            return ImageOpsResults(
                calls=self._calls,
                rejected=ImageRejections(**self._rejected),
                operations=ImageOperationCounts(**self._operations),
                bytes_in=self._bytes_in,
                bytes_out=self._bytes_out,
                pixels=self._pixels,
                latency_ms=self._percentiles() if self._calls else None,
            )

    def _percentiles(self) -> LatencyMs:
        ordered = sorted(self._latencies.items())

        def at(share: float) -> float:
            left = share * self._calls
            for bucket, count in ordered:
                left -= count
                if left <= 0:
                    return round(_LEAST_MS * math.exp(bucket / _BUCKETS_PER_E), 3)
            raise AssertionError("shares are at most 1")

        return LatencyMs(p50=at(0.5), p95=at(0.95), p99=at(0.99))


def _bucket(milliseconds: float) -> int:
    return max(0, round(math.log(max(milliseconds, _LEAST_MS) / _LEAST_MS) * _BUCKETS_PER_E))
