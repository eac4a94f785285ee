"""What a process takes: memory, CPU and descriptors, sampled at intervals."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import psutil

INTERVAL_S: Final = 1.0
MIB: Final = 1 << 20


@dataclass(frozen=True)
class Sample:
    """One look at a process."""

    at: float
    """Seconds of the monotonic clock."""
    rss: int
    """Resident bytes."""
    cpu_s: float
    """CPU time since its start, user and system."""
    sessions: int
    """How many sessions were settled then."""
    descriptors: int
    """Open files and sockets."""


@dataclass
class Meter:
    """Samples of one process, oldest first."""

    process: psutil.Process
    settled: Callable[[], int] = lambda: 0
    samples: list[Sample] = field(default_factory=list)

    def look(self) -> Sample:
        """Take a sample now."""
        with self.process.oneshot():
            times = self.process.cpu_times()
            rss = self.process.memory_info().rss
            descriptors = self.process.num_fds()
        cpu_s = times.user + times.system
        sample = Sample(time.monotonic(), rss, cpu_s, self.settled(), descriptors)
        self.samples.append(sample)
        return sample

    def peak_mib(self) -> float:
        """Largest resident memory, MiB."""
        return max(sample.rss for sample in self.samples) / MIB

    def slope_mib_per_min(self, *, since: float = 0.0) -> float:
        """Growth of the memory behind a moment, by least squares over its samples."""
        within = [sample for sample in self.samples if sample.at >= since]
        found = statistics.linear_regression(
            [sample.at / 60 for sample in within], [sample.rss / MIB for sample in within]
        )
        return found.slope

    def cores(self, *, since: float = 0.0, until: float = float("inf")) -> float:
        """CPU seconds per second between two moments."""
        within = [sample for sample in self.samples if since <= sample.at <= until]
        first, last = within[0], within[-1]
        return (last.cpu_s - first.cpu_s) / max(last.at - first.at, 1e-9)

    def peak_cores(self, *, window_s: float = 10.0) -> float:
        """Largest CPU use over a window, or over everything where that is shorter."""
        if self.samples[-1].at - self.samples[0].at < window_s:
            return self.cores()
        found, start = 0.0, 0
        for end, sample in enumerate(self.samples):
            while sample.at - self.samples[start + 1].at >= window_s and start + 1 < end:
                start += 1
            span = sample.at - self.samples[start].at
            if span >= window_s:
                found = max(found, (sample.cpu_s - self.samples[start].cpu_s) / span)
        return found

    def at_sessions(self, count: int) -> Sample:
        """The first sample with so many settled sessions."""
        return next(sample for sample in self.samples if sample.sessions >= count)


@asynccontextmanager
async def metering(
    pid: int, *, settled: Callable[[], int] = lambda: 0, interval_s: float = INTERVAL_S
) -> AsyncIterator[Meter]:
    """Sample a process until the end of the block."""
    meter = Meter(psutil.Process(pid), settled)
    meter.look()

    async def work() -> None:
        while True:
            await asyncio.sleep(interval_s)
            meter.look()

    task = asyncio.create_task(work(), name="meter")
    try:
        yield meter
        if not task.done():
            meter.look()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, psutil.NoSuchProcess):
            await task
