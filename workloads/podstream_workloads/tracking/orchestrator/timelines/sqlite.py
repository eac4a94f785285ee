"""Objects and timelines in one SQLite file, for a site with one orchestrator.

Write-ahead log and synchronous NORMAL: a killed process loses nothing that was written, a machine
that loses power may lose the last moments. One thread owns the connection.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from podstream_workloads.tracking.orchestrator.errors import StoreError
from podstream_workloads.tracking.orchestrator.timelines.summary import SHOWN
from podstream_workloads.tracking.orchestrator.timelines.values import (
    Batch,
    Interval,
    Kept,
    KeptObject,
    ObjectStarted,
    ObjectTimeline,
)

T = TypeVar("T")
_VERSION: Final = 1
_BUSY_S: Final = 5  # another process may look at the file
_SCHEMA: Final = """
CREATE TABLE objects (
  number INTEGER PRIMARY KEY, camera TEXT NOT NULL, frame_id TEXT, box_id TEXT, image TEXT,
  feature_map TEXT, started_us INTEGER NOT NULL, ended_us INTEGER, reason TEXT
);
CREATE INDEX live_objects ON objects (number) WHERE ended_us IS NULL;
CREATE TABLE sightings (
  number INTEGER NOT NULL, first_us INTEGER NOT NULL, camera TEXT NOT NULL,
  last_us INTEGER NOT NULL, frames INTEGER NOT NULL, PRIMARY KEY (number, first_us, camera)
) WITHOUT ROWID;
"""


class SqliteTimelines:
    """A `TimelineStore` in a file, or in memory and gone with the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> Kept:
        """See `TimelineStore`; the file's folder must exist."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="timelines")
        try:
            return await self._run(self._open)
        except StoreError:
            await self.close()
            raise

    async def write(self, batch: Batch) -> None:
        """See `TimelineStore`."""
        await self._run(partial(_write, batch=batch))

    async def intervals(self, number: int, *, limit: int) -> list[Interval]:
        """See `TimelineStore`."""
        return await self._run(partial(_intervals, number=number, limit=limit))

    async def close(self) -> None:
        """See `TimelineStore`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    async def _run(self, act: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            raise StoreError("the store is closed")

        def run() -> T:
            if self._connection is None:
                place = ":memory:" if self._path is None else str(self._path)
                self._connection = sqlite3.connect(place, isolation_level=None, timeout=_BUSY_S)
            return act(self._connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except sqlite3.Error as error:
            raise StoreError(f"SQLite: {error}") from error

    def _open(self, connection: sqlite3.Connection) -> Kept:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise StoreError(f"{self._path} is of version {version}, not {_VERSION}")
        return _kept(connection)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _write(connection: sqlite3.Connection, *, batch: Batch) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(
            "INSERT INTO objects (number, camera, frame_id, box_id, image, started_us)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO NOTHING",
            [
                (item.number, item.camera, item.frame_id, item.box_id, item.image, item.started_us)
                for item in batch.started
            ],
        )
        connection.executemany(
            "UPDATE objects SET feature_map = ? WHERE number = ? AND ended_us IS NULL",
            [(item.feature_map, item.number) for item in batch.feature_maps],
        )
        connection.executemany(
            "UPDATE objects SET ended_us = ?, reason = ?, image = NULL, feature_map = NULL"
            " WHERE number = ? AND ended_us IS NULL",
            [(item.ended_us, item.reason, item.number) for item in batch.ended],
        )
        connection.executemany(
            "INSERT INTO sightings (number, first_us, camera, last_us, frames)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (number, first_us, camera) DO UPDATE"
            " SET last_us = max(last_us, excluded.last_us), frames = max(frames, excluded.frames)",
            [
                (item.number, item.first_us, item.camera, item.last_us, item.frames)
                for item in batch.intervals
            ],
        )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _intervals(connection: sqlite3.Connection, *, number: int, limit: int) -> list[Interval]:
    rows = connection.execute(
        "SELECT camera, first_us, last_us, frames FROM sightings WHERE number = ?"
        " ORDER BY first_us DESC, camera DESC LIMIT ?",
        (number, limit),
    ).fetchall()
    return [
        Interval(number=number, camera=camera, first_us=first, last_us=last, frames=frames)
        for camera, first, last, frames in reversed(rows)
    ]


def _kept(connection: sqlite3.Connection) -> Kept:
    live = connection.execute(
        "SELECT number, camera, frame_id, box_id, image, started_us, feature_map,"
        " (SELECT max(last_us) FROM sightings WHERE sightings.number = objects.number)"
        " FROM objects WHERE ended_us IS NULL ORDER BY number"
    )
    kept = tuple(
        KeptObject(
            started=ObjectStarted(
                number=number,
                camera=camera,
                frame_id=frame_id,
                box_id=box_id,
                image=image,
                started_us=started_us,
            ),
            feature_map=feature_map,
            seen_us=started_us if seen_us is None else seen_us,
        )
        for number, camera, frame_id, box_id, image, started_us, feature_map, seen_us in live
    )
    last = connection.execute("SELECT coalesce(max(number), 0) FROM objects").fetchone()[0]
    total = connection.execute("SELECT count(DISTINCT number) FROM sightings").fetchone()[0]
    numbers = connection.execute(
        "SELECT DISTINCT number FROM sightings ORDER BY number LIMIT ?", (SHOWN,)
    ).fetchall()
    lines = tuple(_line(connection, number) for (number,) in numbers)
    return Kept(last_number=last, live=kept, sighted_objects=total, timelines=lines)


def _line(connection: sqlite3.Connection, number: int) -> ObjectTimeline:
    rows = connection.execute(
        "SELECT camera, count(*), sum(frames), min(first_us), max(last_us) FROM sightings"
        " WHERE number = ? GROUP BY camera ORDER BY min(first_us)",
        (number,),
    ).fetchall()
    cameras, intervals, frames, firsts, lasts = zip(*rows, strict=True)
    return ObjectTimeline(
        number=number,
        cameras=tuple(cameras),
        intervals=sum(intervals),
        frames=sum(frames),
        first_us=min(firsts),
        last_us=max(lasts),
    )
