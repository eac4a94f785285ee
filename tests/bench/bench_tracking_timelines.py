"""Timelines: CPU per sighting, rows, and the time of an answer, against one text line per box.

    python tests/bench/bench_tracking_timelines.py [--seconds 600] [--json]

The baseline is what the original does on its event loop for each box: open the object's file,
append a line with the local time, close. podstream merges sightings into intervals and writes
these once a second of the cameras' time to SQLite, off the event loop; what counts is the CPU of
the whole process, the writing thread too. Five people stand before two cameras at 30 messages a
second for `--seconds` of their time. The last figures are an answer of 4000 intervals, from the
database to the bytes of the body (target 20 ms), and batches of new rows, in PostgreSQL as well if
`--postgres URL` is given.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from bench.kept import keep
from podstream_workloads.tracking.orchestrator import TimelineStore, store_of
from podstream_workloads.tracking.orchestrator.timelines.answers import intervals_body, records_body
from podstream_workloads.tracking.orchestrator.timelines.merging import Merger
from podstream_workloads.tracking.orchestrator.timelines.summary import Summary
from podstream_workloads.tracking.orchestrator.timelines.values import (
    MICROSECONDS,
    Batch,
    Interval,
)

FPS, OBJECTS, CAMERAS = 30, 5, (b'"gate"', b'"yard"')


def append_lines(folder: Path, *, frames: int) -> int:
    """The original's way; how many records."""
    records = 0
    for _ in range(frames):
        for camera in CAMERAS:
            for number in range(1, OBJECTS + 1):
                moment = datetime.now().strftime("%Y/%m/%d | %H:%M:%S")
                with (folder / f"tracking_logs_{number}.txt").open("a") as file:
                    file.write(f'{{"timeStamp": "{moment}", "processorId": {camera!r}}},\n')
                records += 1
    return records


async def merge_and_write(store: TimelineStore, *, frames: int) -> int:
    """podstream's way; how many rows were written, those written again counted again."""
    merger, rows = Merger(Summary()), 0
    for frame in range(frames):
        now_us = frame * MICROSECONDS // FPS
        for camera in CAMERAS:
            for number in range(1, OBJECTS + 1):
                merger.sighted(number, camera, now_us=now_us)
        if frame % FPS == 0:
            batch = merger.take(now_us=now_us)
            rows += len(batch.intervals)
            await store.write(batch)
    return rows


@dataclass
class Line:
    """One figure."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    """To one text line per box."""


async def answer_ms(store: TimelineStore, make: Callable[[list[Interval]], str]) -> float:
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        make(await store.intervals(1000, limit=10_000))
        best = min(best, 1e3 * (time.process_time() - begin))
    return best


async def rows_per_s(store: TimelineStore, *, rows: int = 20_000, batch: int = 200) -> float:
    """New intervals a second, in transactions of `batch`."""
    begin = time.perf_counter()
    for first in range(0, rows, batch):
        seen = [
            Interval(number=2000, camera='"gate"', first_us=at, last_us=at + 1, frames=1)
            for at in range(first, first + batch)
        ]
        await store.write(Batch(intervals=tuple(seen)))
    return rows / (time.perf_counter() - begin)


async def measured(act: Callable[[], Awaitable[int]]) -> tuple[float, int]:
    """CPU seconds of the process, and what was counted."""
    begin = time.process_time()
    count = await act()
    return time.process_time() - begin, count


async def run(seconds: int, postgres: str | None) -> list[Line]:
    frames = seconds * FPS
    sightings = frames * OBJECTS * len(CAMERAS)
    with tempfile.TemporaryDirectory() as name:
        begin = time.process_time()
        records = append_lines(Path(name), frames=frames)
        base_s = time.process_time() - begin
        store = store_of(f"{name}/site.sqlite3")
        await store.open()
        ours_s, rows = await measured(lambda: merge_and_write(store, frames=frames))
        kept = sum([len(await store.intervals(n, limit=10**6)) for n in range(1, OBJECTS + 1)])
        many = [
            Interval(
                number=1000,
                camera='"gate"',
                first_us=index * 5 * MICROSECONDS,
                last_us=(index * 5 + 2) * MICROSECONDS,
                frames=60,
            )
            for index in range(4000)
        ]
        await store.write(Batch(intervals=tuple(many)))
        lines = [
            Line("text line, CPU", 1e6 * base_s / sightings, "us/sighting", 1),
            Line("intervals, CPU", 1e6 * ours_s / sightings, "us/sighting", ours_s / base_s),
            Line("text lines", records, "records", 1),
            Line("intervals written", rows, "rows", rows / records),
            Line("intervals kept", kept, "rows", kept / records),
            Line("4000 intervals", await answer_ms(store, intervals_body), "ms of CPU"),
            Line("4000 intervals as records", await answer_ms(store, records_body), "ms of CPU"),
            Line("SQLite, batches of 200", await rows_per_s(store), "rows/s"),
        ]
        await store.close()
    if postgres is not None:
        store = store_of(postgres, site=f"bench-{time.time_ns()}")
        await store.open()
        lines.append(Line("PostgreSQL, batches of 200", await rows_per_s(store), "rows/s"))
        await store.close()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="writing and reading timelines")
    parser.add_argument("--seconds", type=int, default=600, help="of the cameras' time")
    parser.add_argument("--postgres", help="URL of a database in which tables may be made")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = asyncio.run(run(options.seconds, options.postgres))
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:10.4f}x"
        print(f"{line.what:<28}{line.value:12.2f} {line.unit:<12}{ratio}")
    if options.json:
        keep(__file__, [asdict(line) for line in lines])


if __name__ == "__main__":
    main()
