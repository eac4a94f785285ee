"""Timelines in short, kept up to date in memory for the session's status."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from podstream_workloads.tracking.orchestrator.timelines.values import Kept, ObjectTimeline

SHOWN: Final = 10
"""Objects of which a summary tells; of the others it counts them only."""
_MAX_CAMERAS: Final = 32


@dataclass(slots=True)
class _Line:
    first_us: int
    last_us: int
    intervals: int = 0
    frames: int = 0
    cameras: dict[str, None] = field(default_factory=dict)


class Summary:
    """The first objects that were sighted, and how many there are."""

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}
        self._others: set[int] = set()
        self._others_before = 0

    def restore(self, kept: Kept) -> None:
        """Take up what an earlier run has left."""
        for item in kept.timelines:
            cameras = dict.fromkeys(item.cameras)
            self._lines[item.number] = _Line(
                item.first_us, item.last_us, item.intervals, item.frames, cameras
            )
        self._others_before = kept.sighted_objects - len(self._lines)

    def sighted(self, number: int, camera: bytes, *, now_us: int, begins: bool) -> None:
        """An object was seen; `begins` says that it is a new interval."""
        line = self._lines.get(number)
        if line is None:
            if len(self._lines) >= SHOWN:
                self._others.add(number)
                return
            line = self._lines[number] = _Line(now_us, now_us)
        line.last_us = max(line.last_us, now_us)
        line.frames += 1
        if begins:
            line.intervals += 1
            if len(line.cameras) < _MAX_CAMERAS:
                line.cameras[camera.decode()] = None

    def forget_others(self, live: Iterable[int]) -> None:
        """Count objects that are tracked no longer, instead of remembering each."""
        gone = self._others.difference(live)
        self._others_before += len(gone)
        self._others -= gone

    @property
    def total(self) -> int:
        """Objects ever sighted."""
        return len(self._lines) + len(self._others) + self._others_before

    def lines(self) -> tuple[ObjectTimeline, ...]:
        """The first objects, by id."""
        return tuple(
            ObjectTimeline(
                number=number,
                cameras=tuple(line.cameras),
                intervals=line.intervals,
                frames=line.frames,
                first_us=line.first_us,
                last_us=line.last_us,
            )
            for number, line in sorted(self._lines.items())
        )
