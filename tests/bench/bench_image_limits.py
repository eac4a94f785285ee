"""Requests a second, CPU time and peak memory of image operations by size, and what bounds them.

    python tests/bench/bench_image_limits.py [--slo-ms 4000] [--megapixels 0.01,1,10,100] [--json]

One server in this process, one caller, one call at a time over loopback, worker processes as in a
session; raw RGB in and out, and JPEG in and out. CPU is of the worker, peak memory its high-water
mark above idle. The bound is named by where the time of a call goes: `CPU` where the worker
computes for more than half of it, `memory` where it waits for pages (CPU time in the kernel
outweighs that of the program), otherwise `copy`: the bytes' way between client and worker.

`by table` is what `podstream_workloads/imageops/costs.py` says of the same call, the baseline of
`p99/table`: where that is above 1, the table promises more than this machine keeps. The last
lines derive limits from `--slo-ms`: the largest of the sizes whose 99th percentile keeps it, for
the slowest operation, and what `spec.imageOps.sloMs` admits. Read times as ratios within one run.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from bench.kept import keep
from imageops.server import LIMITS, Images, Running, collect, noise, raw, requests, running
from podstream_workloads.imageops.costs import estimate_ms, pixels_within
from podstream_workloads.imageops.headers import inspect
from podstream_workloads.imageops.headers.window import BytesSource
from podstream_workloads.imageops.limits import MIB
from podstream_workloads.imageops.operations.values import Space
from podstream_workloads.imageops.service.messages import operations_of, output_of
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.workers.jobs import FileSource, RawSource, make_job

OPERATIONS = {
    "turn 90": [pb.Operation(turn=pb.Turn(quarters=1))],
    "mean 3x3": [pb.Operation(mean=pb.Mean())],
    "gaussian 2": [pb.Operation(gaussian=pb.Gaussian(sigma=2))],
}
BOUNDED = replace(
    LIMITS, max_pixels=110_000_000, max_upload_bytes=1024 * MIB, memory_bytes=4096 * MIB
)
BUDGET_S = 2.0
"""Of one cell; at least three calls are made."""
MOST_CALLS = 400
"""Of one cell: a worker is replaced after 2000, and its times with it."""
_CHUNK = 1 * MIB


@dataclass(frozen=True)
class Cell:
    """One operation at one size."""

    times_s: list[float]
    user_s: float
    system_s: float
    peak_bytes: int
    table_ms: float
    """By `costs.estimate_ms`."""

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self.times_s, 99)) * 1e3

    @property
    def cpu_ms(self) -> float:
        return (self.user_s + self.system_s) * 1e3 / len(self.times_s)

    @property
    def rate(self) -> float:
        """Calls a second, one at a time."""
        return len(self.times_s) / sum(self.times_s)

    @property
    def bound(self) -> str:
        if self.user_s + self.system_s > 0.5 * sum(self.times_s):
            return "memory" if self.system_s > self.user_s else "CPU"
        return "copy"


def workers(service: Running) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in service.server.pool.pids]


def peak(process: psutil.Process) -> int:
    """High-water mark of a process's memory, bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def forget_peak(process: psutil.Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def by_table(picture: Any, data: bytes, header: dict[str, Any]) -> float:
    """What the table of costs says of a call."""
    shape = {"width": picture.shape[1], "height": picture.shape[0]}
    output = output_of(header.get("output", pb.Output()))
    if "input" in header:
        source: RawSource | FileSource = RawSource(**shape, space=Space.RGB)
    else:
        inspected = inspect(BytesSource(data), limits=BOUNDED.header)
        source = FileSource(header=inspected)
    operations = operations_of(header["operations"])
    job = make_job(
        source,
        input_bytes=len(data),
        operations=operations,
        output=output,
        max_pixels=BOUNDED.max_pixels,
    )
    return estimate_ms(job)


def measure(service: Running, images: Images, picture: Any, data: bytes, **header: Any) -> Cell:
    def once() -> float:
        begun = time.monotonic()
        collect(images.process(requests(data, chunk=_CHUNK, **header)))
        return time.monotonic() - begun

    once()
    seen = workers(service)
    idle = {process.pid: process.memory_info().rss for process in seen}
    for process in seen:
        forget_peak(process)
    before = [process.cpu_times() for process in seen]
    times: list[float] = []
    deadline = time.monotonic() + BUDGET_S
    while len(times) < 3 or (time.monotonic() < deadline and len(times) < MOST_CALLS):
        times.append(once())
    after = [process.cpu_times() for process in seen]
    used = [
        (b.user - a.user, b.system - a.system, process)
        for a, b, process in zip(before, after, seen, strict=True)
    ]
    # One caller keeps one worker busy; the spare may still be loading what it needs.
    user_s, system_s, busy = max(used, key=lambda item: item[0] + item[1])
    return Cell(
        times,
        user_s=user_s,
        system_s=system_s,
        peak_bytes=peak(busy) - idle[busy.pid],
        table_ms=by_table(picture, data, header),
    )


def rows(service: Running, images: Images, megapixels: float) -> dict[str, Cell]:
    side = round((megapixels * 1e6) ** 0.5)
    tile = noise(min(side, 1000), min(side, 1000))
    repeat = -(-side // tile.shape[0])
    picture = np.ascontiguousarray(np.tile(tile, (repeat, repeat, 1))[:side, :side])
    found = {
        name: measure(
            service, images, picture, picture.tobytes(), input=raw(picture), operations=chain
        )
        for name, chain in OPERATIONS.items()
    }
    smooth = cv2.GaussianBlur(picture, (0, 0), 4)
    file = np.asarray(cv2.imencode(".jpg", smooth)[1]).tobytes()
    found["jpeg, turn, jpeg"] = measure(
        service,
        images,
        picture,
        file,
        operations=OPERATIONS["turn 90"],
        output=pb.Output(format=pb.FORMAT_JPEG),
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slo-ms", type=float, default=4000)
    parser.add_argument("--megapixels", default="0.01,1,10,100")
    parser.add_argument("--json", action="store_true", help="keep the figures as well")
    given = parser.parse_args()
    sizes = [float(text) for text in given.megapixels.split(",")]
    kept = 0.0
    table: list[dict[str, Any]] = []
    print(f"{'MP':>7}  {'operation':18}{'req/s':>9}{'p99 ms':>9}{'CPU ms':>9}{'peak MB':>9}"
          f"{'by table':>10}{'p99/table':>11}  bound")  # fmt: skip
    for size in sizes:
        with running(BOUNDED) as service, service.channel() as channel:
            found = rows(service, Images(channel), size)
            for name, cell in found.items():
                print(
                    f"{size:7g}  {name:18}{cell.rate:9.1f}{cell.p99_ms:9.1f}{cell.cpu_ms:9.1f}"
                    f"{cell.peak_bytes / 1e6:9.0f}{cell.table_ms:10.0f}"
                    f"{cell.p99_ms / cell.table_ms:11.2f}  {cell.bound}",
                    flush=True,
                )
                table.append({"megapixels": size, "operation": name, **figures(cell)})
            if all(cell.p99_ms <= given.slo_ms for cell in found.values()):
                kept = max(kept, size)
    print(f"largest size with every p99 <= {given.slo_ms:g} ms: {kept:g} MP")
    admitted = pixels_within(given.slo_ms) / 1e6
    print(f"spec.imageOps.sloMs {given.slo_ms:g} admits {admitted:g} MP")
    if given.json:
        limits = {"sloMs": given.slo_ms, "largestMegapixels": kept, "admittedMegapixels": admitted}
        keep(__file__, {"calls": table, **limits})


def figures(cell: Cell) -> dict[str, Any]:
    """A cell as it is kept."""
    return {
        "callsPerSecond": round(cell.rate, 2),
        "p99Ms": round(cell.p99_ms, 2),
        "cpuMs": round(cell.cpu_ms, 2),
        "peakMB": round(cell.peak_bytes / 1e6, 1),
        "byTableMs": round(cell.table_ms, 1),
        "bound": cell.bound,
    }


if __name__ == "__main__":
    main()
