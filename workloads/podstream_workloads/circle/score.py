"""Scores estimates against the truth. Pure and bounded: no clock, no I/O.

The original ball tracker's RMSE of one estimate is sqrt((dx² + dy²)/2), the root of the mean of the
two squares; over many frames the root of the mean of those. The Euclidean form lacks the half and
is larger by sqrt(2).
"""

import math
import random
from dataclasses import dataclass

from podstream_core.api import CircleResults, Codec, LatencyMs
from podstream_workloads.circle.framecode import MODULUS
from podstream_workloads.circle.truth import Truth

_SAMPLES = 20_000
"""Percentiles are exact up to this many estimates and taken from a fair sample beyond."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One estimate against its truth; pixels and milliseconds."""

    truth: Truth
    x: float
    y: float
    latency_ms: float

    @property
    def squared_error(self) -> float:
        """dx² + dy²."""
        return (self.x - self.truth.x) ** 2 + (self.y - self.truth.y) ** 2

    @property
    def rmse(self) -> float:
        """sqrt((dx² + dy²)/2), as the original prints it."""
        return math.sqrt(self.squared_error / 2)


class _Sample:
    """A uniform sample of a stream of numbers (Vitter's algorithm R)."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._values: list[float] = []
        self._seen = 0

    def add(self, value: float) -> None:
        self._seen += 1
        if len(self._values) < _SAMPLES:
            self._values.append(value)
        elif (place := self._rng.randrange(self._seen)) < _SAMPLES:
            self._values[place] = value

    def percentiles(self, *shares: float) -> list[float]:
        """Nearest-rank percentiles; the sample must not be empty."""
        ordered = sorted(self._values)
        last = len(ordered) - 1
        return [ordered[min(last, math.ceil(share * len(ordered)) - 1)] for share in shares]


class Score:
    """Running figures of one session, over all its connections."""

    def __init__(self) -> None:
        rng = random.Random(0)  # the sample decides nothing that could be gamed
        self._errors = _Sample(rng)
        self._latencies = _Sample(rng)
        self._squares = 0.0
        self._first_at: float | None = None
        self._last_at = 0.0
        self.scored = 0
        self.unmatched = 0
        self.missed = 0
        self.sent = 0
        self.skipped = 0
        self.codes_agreed = 0
        self.codes_differed = 0

    def add(self, truth: Truth, *, position: tuple[float, float], now: float) -> Scored:
        """Score an estimate that arrived at `now`, seconds of the clock of `truth.drawn_at`."""
        scored = Scored(truth, *position, latency_ms=(now - truth.drawn_at) * 1000)
        self.scored += 1
        self._squares += scored.squared_error
        self._errors.add(math.sqrt(scored.squared_error))
        self._latencies.add(scored.latency_ms)
        if self._first_at is None:
            self._first_at = now
        self._last_at = now
        return scored

    def compare_code(self, code: int, truth: Truth) -> None:
        """Count whether the number in the picture is that of the frame that was matched."""
        if code == truth.index % MODULUS:
            self.codes_agreed += 1
        else:
            self.codes_differed += 1

    def results(self, *, codec: Codec | None, unsettled: int) -> CircleResults:
        """The figures so far.

        Args:
            codec: what is sent, where that is settled.
            unsettled: frames that were sent and may still be answered.
        """
        settled = self.sent - unsettled
        lost = max(0, settled - self.scored - self.missed)
        if not self.scored or self._first_at is None:
            return CircleResults(
                codec=codec,
                frames_sent=self.sent,
                frames_skipped=self.skipped,
                frames_unmatched=self.unmatched,
                frames_missed=self.missed,
                codes_agreed=self.codes_agreed,
                codes_differed=self.codes_differed,
                loss_ratio=round(lost / settled, 4) if settled > 0 else None,
            )
        mean_square = self._squares / self.scored
        (p95,) = self._errors.percentiles(0.95)
        lasted = self._last_at - self._first_at
        return CircleResults(
            codec=codec,
            frames_sent=self.sent,
            frames_skipped=self.skipped,
            frames_scored=self.scored,
            frames_unmatched=self.unmatched,
            frames_missed=self.missed,
            codes_agreed=self.codes_agreed,
            codes_differed=self.codes_differed,
            loss_ratio=round(lost / settled, 4) if settled > 0 else None,
            rmse_px=round(math.sqrt(mean_square / 2), 4),
            rmse_euclidean_px=round(math.sqrt(mean_square), 4),
            error_p95_px=round(p95, 4),
            fps=round((self.scored - 1) / lasted, 2) if lasted > 0 else None,
            latency_ms=LatencyMs(
                **{
                    name: round(value, 2)
                    for name, value in zip(
                        ("p50", "p95", "p99"),
                        self._latencies.percentiles(0.5, 0.95, 0.99),
                        strict=True,
                    )
                }
            ),
        )
