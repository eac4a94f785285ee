"""Objects and timelines in PostgreSQL, for data that outlives the orchestrator's disk.

Several sites may share a database: each has its rows under its own name. A lost connection is
replaced at the next call, by one to the URL of that moment. One orchestrator at a time writes a
site.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import asyncpg

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

P = ParamSpec("P")
T = TypeVar("T")

_WRONG_URL: Final = (
    "PostgreSQL: the URL cannot be used: it has to be postgresql://USER:PASSWORD@HOST:PORT/DATABASE,"
    " with %40 for @, %3A for : and %2F for / within its parts"
)
_COMMAND_S: Final = 10.0  # longest wait for one statement, and for a connection
_SCHEMA_LOCK: Final = 7_217_035  # any number: two orchestrators may make the tables at once
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS podstream_objects (
  site text NOT NULL, number bigint NOT NULL, camera text NOT NULL, frame_id text, box_id text,
  image text, feature_map text, started_us bigint NOT NULL, ended_us bigint, reason text,
  PRIMARY KEY (site, number)
);
CREATE TABLE IF NOT EXISTS podstream_sightings (
  site text NOT NULL, number bigint NOT NULL, first_us bigint NOT NULL, camera text NOT NULL,
  last_us bigint NOT NULL, frames bigint NOT NULL, PRIMARY KEY (site, number, first_us, camera)
);
"""
_START: Final = (
    "INSERT INTO podstream_objects (site, number, camera, frame_id, box_id, image, started_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (site, number) DO NOTHING"
)
_MAP: Final = (
    "UPDATE podstream_objects SET feature_map = $3"
    " WHERE site = $1 AND number = $2 AND ended_us IS NULL"
)
_END: Final = (
    "UPDATE podstream_objects SET ended_us = $3, reason = $4, image = NULL, feature_map = NULL"
    " WHERE site = $1 AND number = $2 AND ended_us IS NULL"
)
_SEE: Final = (
    "INSERT INTO podstream_sightings AS kept (site, number, first_us, camera, last_us, frames)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (site, number, first_us, camera) DO UPDATE"
    " SET last_us = greatest(kept.last_us, excluded.last_us),"
    " frames = greatest(kept.frames, excluded.frames)"
)
_LIVE: Final = (
    "SELECT number, camera, frame_id, box_id, image, started_us, feature_map,"
    " coalesce((SELECT max(last_us) FROM podstream_sightings seen"
    " WHERE seen.site = kept.site AND seen.number = kept.number), started_us) AS seen_us"
    " FROM podstream_objects kept WHERE site = $1 AND ended_us IS NULL ORDER BY number"
)
_FIRST: Final = (
    "SELECT number, camera, count(*) AS intervals, sum(frames)::bigint AS frames,"
    " min(first_us) AS first_us, max(last_us) AS last_us FROM podstream_sightings"
    " WHERE site = $1 AND number IN (SELECT DISTINCT number FROM podstream_sightings"
    " WHERE site = $1 ORDER BY number LIMIT $2)"
    " GROUP BY number, camera ORDER BY number, min(first_us)"
)


def _translated(
    act: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let what goes wrong between here and the database be a `StoreError`."""

    @wraps(act)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await act(*args, **kwargs)
        except asyncpg.ClientConfigurationError:
            # The driver's words may hold a part of the password, where that is not encoded.
            raise StoreError(_WRONG_URL) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StoreError(f"PostgreSQL: {error or type(error).__name__}") from error
        except ValueError:  # a URL that is none, again
            raise StoreError(_WRONG_URL) from None

    return run


class PostgresTimelines:
    """A `TimelineStore` in the database of a `postgresql://` URL."""

    def __init__(self, url: str | Callable[[], str], *, site: str = "default") -> None:
        """Prepare; nothing is connected before `open`.

        Args:
            url: database with user and password, as libpq writes it; or what tells it, asked for
                each connection, which may raise `StoreError`.
            site: under which name the rows are, for example `namespace/session`.
        """
        self._url = url
        self._site = site
        self._pool: asyncpg.Pool | None = None

    @_translated
    async def open(self) -> Kept:
        """See `TimelineStore`."""
        if self._pool is None:  # else an earlier attempt has made it
            # No smallest size: the pool would try to keep it while the database is away.
            self._pool = await asyncpg.create_pool(
                min_size=0,
                max_size=2,
                connect=self._connect,
                command_timeout=_COMMAND_S,
                timeout=_COMMAND_S,
            )
        async with self._connected().acquire() as connection, connection.transaction():
            # IF NOT EXISTS does not keep two from making the same table at the same time.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            await connection.execute(_SCHEMA)
            return await self._kept(connection)

    @_translated
    async def write(self, batch: Batch) -> None:
        """See `TimelineStore`."""
        site = self._site
        async with self._connected().acquire() as connection, connection.transaction():
            await connection.executemany(
                _START,
                [
                    (
                        *(site, item.number, item.camera, item.frame_id, item.box_id),
                        *(item.image, item.started_us),
                    )
                    for item in batch.started
                ],
            )
            await connection.executemany(
                _MAP, [(site, item.number, item.feature_map) for item in batch.feature_maps]
            )
            await connection.executemany(
                _END, [(site, item.number, item.ended_us, item.reason) for item in batch.ended]
            )
            await connection.executemany(
                _SEE,
                [
                    (site, item.number, item.first_us, item.camera, item.last_us, item.frames)
                    for item in batch.intervals
                ],
            )

    @_translated
    async def intervals(self, number: int, *, limit: int) -> list[Interval]:
        """See `TimelineStore`."""
        rows = await self._connected().fetch(
            "SELECT camera, first_us, last_us, frames FROM podstream_sightings"
            " WHERE site = $1 AND number = $2 ORDER BY first_us DESC, camera DESC LIMIT $3",
            *(self._site, number, limit),
        )
        return [Interval(number=number, **row) for row in reversed(rows)]

    @_translated
    async def close(self) -> None:
        """See `TimelineStore`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _connect(self, *_: Any, **options: Any) -> Any:
        url = self._url if isinstance(self._url, str) else self._url()
        return await asyncpg.connect(url, **options)

    def _connected(self) -> asyncpg.Pool:
        if self._pool is None:
            raise StoreError("the store is closed")
        return self._pool

    async def _kept(self, connection: Any) -> Kept:
        live = await connection.fetch(_LIVE, self._site)
        last = await connection.fetchval(
            "SELECT coalesce(max(number), 0) FROM podstream_objects WHERE site = $1", self._site
        )
        total = await connection.fetchval(
            "SELECT count(DISTINCT number) FROM podstream_sightings WHERE site = $1", self._site
        )
        lines = await connection.fetch(_FIRST, self._site, SHOWN)
        return Kept(
            last_number=last,
            live=tuple(_kept_object(row) for row in live),
            sighted_objects=total,
            timelines=tuple(
                _line(number, [row for row in lines if row["number"] == number])
                for number in dict.fromkeys(row["number"] for row in lines)
            ),
        )


def _kept_object(row: Any) -> KeptObject:
    names = ("number", "camera", "frame_id", "box_id", "image", "started_us")
    return KeptObject(
        started=ObjectStarted(**{name: row[name] for name in names}),
        feature_map=row["feature_map"],
        seen_us=row["seen_us"],
    )


def _line(number: int, rows: list[Any]) -> ObjectTimeline:
    return ObjectTimeline(
        number=number,
        cameras=tuple(row["camera"] for row in rows),
        intervals=sum(row["intervals"] for row in rows),
        frames=sum(row["frames"] for row in rows),
        first_us=min(row["first_us"] for row in rows),
        last_us=max(row["last_us"] for row in rows),
    )
