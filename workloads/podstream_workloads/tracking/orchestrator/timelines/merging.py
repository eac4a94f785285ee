"""Turns sightings into intervals, and collects what has to be written. No I/O."""

from dataclasses import dataclass, replace
from typing import Final

from podstream_workloads.tracking.orchestrator.timelines.summary import Summary
from podstream_workloads.tracking.orchestrator.timelines.values import (
    MICROSECONDS,
    Batch,
    FeatureMapKnown,
    Interval,
    ObjectEnded,
    ObjectStarted,
)

GAP_US: Final = 2 * MICROSECONDS
"""Sightings less than this apart are one interval."""
MOST_WRITTEN: Final = 5_000
"""Intervals of one batch: after an outage a batch of all would take a database longer than a
command may, and would never get through."""
_MAX_PENDING: Final = 100_000  # intervals that wait for a database that does not answer, ~20 MB


@dataclass(slots=True)
class _Open:
    first_us: int
    last_us: int
    frames: int
    dirty: bool = True


class Merger:
    """Open intervals and all changes that are not yet written."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary
        self._open: dict[tuple[int, bytes], _Open] = {}
        self._finished: dict[tuple[int, str, int], Interval] = {}
        self._started: dict[int, ObjectStarted] = {}
        self._maps: dict[int, FeatureMapKnown] = {}
        self._ended: dict[int, ObjectEnded] = {}
        self.lost_intervals = 0
        """Intervals given up because the database did not answer for too long."""

    def sighted(self, number: int, camera: bytes, *, now_us: int) -> None:
        """An object was seen. A clock that was set back does not shorten an interval."""
        key = (number, camera)
        current = self._open.get(key)
        begins = current is None or now_us - current.last_us >= GAP_US
        if current is not None and not begins:
            current.last_us = max(current.last_us, now_us)
            current.frames += 1
            current.dirty = True
        else:
            if current is not None and current.dirty:
                self._finish(_interval(key, current))
            self._open[key] = _Open(now_us, now_us, 1)
        self._summary.sighted(number, camera, now_us=now_us, begins=begins)

    def started(self, change: ObjectStarted) -> None:
        """Note a new object."""
        self._started[change.number] = change

    def mapped(self, change: FeatureMapKnown) -> None:
        """Note a feature map; only the newest of an object is written."""
        self._maps[change.number] = change

    def ended(self, change: ObjectEnded) -> None:
        """Note an object's end; a picture that nobody will ask for again is not written."""
        self._ended[change.number] = change
        self._maps.pop(change.number, None)
        waiting = self._started.get(change.number)
        if waiting is not None:
            self._started[change.number] = replace(waiting, image=None)

    def take(self, *, now_us: int) -> Batch:
        """What is not yet written, of intervals the oldest; `has_more` tells of others.

        Intervals that cannot grow any more are forgotten.
        """
        for key, current in list(self._open.items()):
            if current.dirty:
                self._finish(_interval(key, current))
                current.dirty = False
            elif now_us - current.last_us >= GAP_US:
                del self._open[key]
        keys = list(self._finished)[:MOST_WRITTEN]
        batch = Batch(
            started=tuple(self._started.values()),
            feature_maps=tuple(self._maps.values()),
            ended=tuple(self._ended.values()),
            intervals=tuple(self._finished.pop(key) for key in keys),
        )
        self._started, self._maps, self._ended = {}, {}, {}
        return batch

    @property
    def has_more(self) -> bool:
        """Whether intervals wait that the last batch had no room for."""
        return bool(self._finished)

    def put_back(self, batch: Batch) -> None:
        """Take up what could not be written; what has changed since wins."""
        self._started = {item.number: item for item in batch.started} | self._started
        self._ended = {item.number: item for item in batch.ended} | self._ended
        # A picture that nobody will ask for again is not kept.
        self._started = {
            number: replace(item, image=None) if number in self._ended else item
            for number, item in self._started.items()
        }
        maps = {item.number: item for item in batch.feature_maps} | self._maps
        self._maps = {key: item for key, item in maps.items() if key not in self._ended}
        newer, self._finished = self._finished, {}
        for item in (*batch.intervals, *newer.values()):
            self._finish(item)
        excess = len(self._finished) - _MAX_PENDING
        for key in list(self._finished)[: max(0, excess)]:
            del self._finished[key]
            self.lost_intervals += 1

    def _finish(self, item: Interval) -> None:
        """Let an interval be written, instead of a shorter state of itself."""
        self._finished[item.number, item.camera, item.first_us] = item


def _interval(key: tuple[int, bytes], current: _Open) -> Interval:
    return Interval(
        number=key[0],
        camera=key[1].decode(),
        first_us=current.first_us,
        last_us=current.last_us,
        frames=current.frames,
    )
