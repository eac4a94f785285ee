"""A sender and a receiver of the ball, two processes on loopback: podstream's or stock aiortc's.

Both draw the ball, encode, send, decode, estimate and answer on the data channel; the sender dates
each answer. Podstream's sender is the workload and its receiver the client, with all they do. The
stock pair is what aiortc's examples do: OpenCV draws a BGR picture, aiortc converts and encodes it
with its own options, the receiver asks `HoughCircles` about every frame in turn.
"""

import asyncio
import cProfile
import itertools
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final, Literal

from bench import stage_times

Kind = Literal["stock", "podstream"]
WARM_S: Final = 2.0
"""Left out of all figures: connecting, opening codecs, first key frames."""
_END_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is measured."""

    kind: Kind
    codec: str
    width: int
    height: int
    fps: int
    seconds: float
    radius: int = 40
    quality: str = "Balanced"
    loss: float = 0.0
    """Share of media packets that is lost, each way."""
    job_s: float = 0.0
    """Seconds that the receiver spends on a frame besides estimating."""
    estimates: bool = True
    """Without, the receiver answers every frame with a fixed place: what remains is the media."""


@dataclass(slots=True)
class Figures:
    """What came out; CPU is that of a whole process, per frame that it sent or received."""

    sent: int
    asked: int
    """Frames that the rate asked for in that time."""
    answered: int
    fps: float
    send_cpu_ms: float
    receive_cpu_ms: float
    p50_ms: float
    """From the moment a frame was drawn to the arrival of its answer."""
    p95_ms: float
    freeze_ms: float
    """Longest time between two answers."""
    rmse_px: float
    growth_mib: float
    """Of the receiver's memory."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Mean time of the stages of a frame, in order; of what they leave of the latency a frame is on
    its way between threads and processes, or waits."""

    @property
    def skipped(self) -> float:
        """Share of frames that were asked for and not sent."""
        return max(0.0, 1 - self.sent / self.asked) if self.asked else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "skipped": round(self.skipped, 4)}


@dataclass(slots=True)
class _Answer:
    at: float
    latency_s: float
    squared_error: float


@dataclass(slots=True)
class _Sent:
    """What the sender's process reports."""

    answers: list[_Answer]
    frames: int
    cpu_s: float
    seconds: float
    stages: dict[str, float]


@dataclass(slots=True)
class _Received:
    frames: int
    cpu_s: float
    growth_mib: float
    stages: dict[str, float]


def measure(run: Run) -> Figures:
    """Run both processes to their end."""
    context = multiprocessing.get_context("spawn")
    left, right = context.Pipe()
    report, from_sender = context.Pipe(duplex=False)
    report_received, from_receiver = context.Pipe(duplex=False)
    processes = [
        context.Process(target=_in_process, args=(_send, run, left, from_sender)),
        context.Process(target=_in_process, args=(_receive, run, right, from_receiver)),
    ]
    for process in processes:
        process.start()
    try:
        limit_s = run.seconds + WARM_S + 60
        if not report.poll(limit_s) or not report_received.poll(limit_s):
            raise TimeoutError(f"no figures of {run}")
        sent: _Sent = report.recv()
        received: _Received = report_received.recv()
    finally:
        for process in processes:
            process.join(10)
            if process.is_alive():
                process.kill()
    return _figures(run, sent, received)


def _figures(run: Run, sent: _Sent, received: _Received) -> Figures:
    answers = sorted(sent.answers, key=lambda answer: answer.at)
    latencies = sorted(answer.latency_s for answer in answers) or [float("inf")]
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(answers)]
    squares = [answer.squared_error for answer in answers]
    return Figures(
        sent=sent.frames,
        asked=round(sent.seconds * run.fps),
        answered=len(answers),
        fps=round(len(answers) / sent.seconds, 2),
        send_cpu_ms=round(1e3 * sent.cpu_s / max(1, sent.frames), 3),
        receive_cpu_ms=round(1e3 * received.cpu_s / max(1, received.frames), 3),
        p50_ms=round(1e3 * statistics.median(latencies), 2),
        p95_ms=round(1e3 * latencies[int(0.95 * (len(latencies) - 1))], 2),
        freeze_ms=round(1e3 * max(gaps, default=run.seconds), 1),
        rmse_px=round(statistics.fmean(squares) ** 0.5, 4) if squares else float("nan"),
        growth_mib=round(received.growth_mib, 1),
        stages_ms=sent.stages | received.stages,
    )


def _in_process(work: Callable[[Run, Pipe], Any], run: Run, signalling: Pipe, report: Pipe) -> None:
    import aioice.ice  # noqa: PLC0415 - in the process that it changes

    from fakes.loss import losing  # noqa: PLC0415 - as above

    # Loopback only: aioice would leave it out.
    ice: Any = aioice.ice
    ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    with ExitStack() as stack:
        if run.loss:
            stack.enter_context(losing(run.loss, seed=len(work.__name__)))
        report.send(_profiled(lambda: asyncio.run(work(run, signalling)), work.__name__))


def _profiled(work: Callable[[], Any], name: str) -> Any:
    """Do the work; with BENCH_PROFILE=folder, leave a cProfile of its event loop there."""
    folder = os.environ.get("BENCH_PROFILE")
    if folder is None:
        return work()
    profile = cProfile.Profile()
    try:
        return profile.runcall(work)
    finally:
        profile.dump_stats(Path(folder) / f"{name.strip('_')}.prof")


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def _send(run: Run, signalling: Pipe) -> _Sent:
    from bench import podstream_pair, stock_pair  # noqa: PLC0415 - as above

    module: Any = podstream_pair if run.kind == "podstream" else stock_pair
    answers: list[_Answer] = []

    def on_answer(latency_s: float, squared_error: float) -> None:
        answers.append(_Answer(time.monotonic(), latency_s, squared_error))

    with tempfile.TemporaryDirectory() as folder:
        sender = module.Sender(run, folder=Path(folder), on_answer=on_answer)
        loop = asyncio.get_running_loop()
        await sender.connect(
            signalling.send,
            lambda: loop.run_in_executor(None, signalling.recv),
        )
        await asyncio.sleep(WARM_S)
        begun, cpu, frames = time.monotonic(), _cpu_s(), sender.frames
        stages = dict(sender.stages)
        await asyncio.sleep(run.seconds)
        lasted, used, sent = time.monotonic() - begun, _cpu_s() - cpu, sender.frames - frames
        means = stage_times.means(stages, sender.stages, frames=sent)
        await sender.close()
    kept = [answer for answer in answers if begun <= answer.at <= begun + lasted]
    return _Sent(kept, sent, used, lasted, means)


async def _receive(run: Run, signalling: Pipe) -> _Received:
    from bench import podstream_pair, stock_pair  # noqa: PLC0415 - as above

    module: Any = podstream_pair if run.kind == "podstream" else stock_pair
    with ThreadPoolExecutor(1) as pool:
        receiver = module.Receiver(run, pool=pool)
        loop = asyncio.get_running_loop()
        await receiver.connect(
            signalling.send,
            lambda: loop.run_in_executor(None, signalling.recv),
        )
        await asyncio.sleep(WARM_S)
        cpu, frames, memory = _cpu_s(), receiver.frames, _memory_mib()
        stages = dict(receiver.stages)
        await asyncio.sleep(run.seconds)
        count = receiver.frames - frames
        found = _Received(
            count,
            _cpu_s() - cpu,
            _memory_mib() - memory,
            stage_times.means(stages, receiver.stages, frames=count),
        )
        await asyncio.sleep(_END_S)
        await receiver.close()
    return found
