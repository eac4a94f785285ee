"""Writes what happens to objects to the store, in batches, off the event loop.

Sightings are merged in memory and written once a second. The store may fail: what could not be
written is kept (bounded) and written later; nothing that peers see waits for it, except the start
of an object, whose id is announced once it is stored, or after a short wait if the store hangs.
"""

import asyncio
import logging
from typing import Final

from podstream_workloads.tracking.orchestrator.clock import Clock
from podstream_workloads.tracking.orchestrator.errors import StoreError
from podstream_workloads.tracking.orchestrator.timelines.merging import Merger
from podstream_workloads.tracking.orchestrator.timelines.summary import Summary
from podstream_workloads.tracking.orchestrator.timelines.values import (
    MICROSECONDS,
    FeatureMapKnown,
    Interval,
    Kept,
    ObjectEnded,
    ObjectStarted,
    TimelineStore,
)

logger = logging.getLogger(__name__)

_WRITE_EVERY_S: Final = 1.0
_COMMIT_WITHIN_S: Final = 2.0  # a client waits no longer than this for a store that hangs
_MAX_INTERVALS: Final = 100_000  # of one answer


class Recorder:
    """One site's memory of what happened. `open` before anything else, `close` at the end."""

    def __init__(self, store: TimelineStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.summary = Summary()
        self._merger = Merger(self.summary)
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why nothing can be written at present; empty where it can."""

    async def open(self) -> Kept:
        """Open the store and start writing.

        Raises:
            StoreError: the store cannot be opened.
        """
        kept = await self._store.open()
        self.summary.restore(kept)
        self._task = asyncio.create_task(self._write_often(), name="timelines")
        return kept

    async def close(self) -> None:
        """Write what is left and close the store."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self._try_flush()
        await self._store.close()

    @property
    def lost_intervals(self) -> int:
        """Intervals given up because the store did not answer for too long."""
        return self._merger.lost_intervals

    def now_us(self) -> int:
        """The date, in microseconds."""
        return round(self._clock.utc() * MICROSECONDS)

    def sighted(self, number: int, camera: bytes) -> None:
        """An object was seen by a camera just now."""
        self._merger.sighted(number, camera, now_us=self.now_us())

    async def started(self, change: ObjectStarted) -> None:
        """An object begins; returns when it is stored, or after two seconds."""
        self._merger.started(change)
        try:
            async with asyncio.timeout(_COMMIT_WITHIN_S):
                await self._try_flush()
        except TimeoutError:
            logger.warning("object not stored yet", extra={"object": change.number})

    def mapped(self, change: FeatureMapKnown) -> None:
        """An object has a new feature map."""
        self._merger.mapped(change)

    def ended(self, change: ObjectEnded) -> None:
        """An object is tracked no longer."""
        self._merger.ended(change)

    async def intervals(self, number: int) -> list[Interval]:
        """All intervals of an object, those not yet written too, the earliest first.

        Raises:
            StoreError: the store does not answer.
        """
        await self.flush()
        return await self._store.intervals(number, limit=_MAX_INTERVALS)

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            StoreError: it could not be written; it waits on.
        """
        # Shielded: a caller that gives up must not tear a batch out of the store's hands.
        await asyncio.shield(asyncio.ensure_future(self._flush()))

    async def _flush(self) -> None:
        async with self._lock:
            while batch := self._merger.take(now_us=self.now_us()):
                try:
                    await self._store.write(batch)
                except BaseException:
                    self._merger.put_back(batch)
                    raise
                if not self._merger.has_more:
                    return  # what was seen meanwhile can wait for the next time

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except StoreError as error:
            if not self.trouble:
                logger.warning("timelines cannot be written, retrying", extra={"error": str(error)})
            self.trouble = str(error)
        else:
            if self.trouble:
                logger.info("timelines are written again")
            self.trouble = ""

    async def _write_often(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_EVERY_S)
            try:
                await self._try_flush()
            except Exception:
                logger.exception("writing timelines failed")
