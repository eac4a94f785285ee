"""What is kept of objects and their sightings, and what a store of it must offer.

Times are whole microseconds since 1970-01-01 UTC: exact as keys, sortable, without a zone. A camera
is the JSON of the processor's id, so that "1" and 1 stay two cameras.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

MICROSECONDS: Final = 1_000_000


class Interval(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An object was seen by a camera from `first_us` to `last_us`, in `frames` messages.

    A struct, because answers are made of thousands of them: a frozen dataclass takes ten times as
    long to make.
    """

    number: int
    camera: str
    first_us: int
    last_us: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStarted:
    """An object is tracked from now on; all but the numbers is JSON as the client sent it."""

    number: int
    camera: str
    frame_id: str | None
    box_id: str | None
    image: str | None
    started_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEnded:
    """An object is tracked no longer; its sightings stay."""

    number: int
    ended_us: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMapKnown:
    """The newest feature map of an object, as JSON."""

    number: int
    feature_map: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a store writes at once, all or nothing; writing it again changes nothing."""

    started: tuple[ObjectStarted, ...] = ()
    feature_maps: tuple[FeatureMapKnown, ...] = ()
    ended: tuple[ObjectEnded, ...] = ()
    intervals: tuple[Interval, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.started or self.feature_maps or self.ended or self.intervals)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptObject:
    """An object that was live when the last run ended."""

    started: ObjectStarted
    feature_map: str | None
    seen_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectTimeline:
    """One object's sightings in short."""

    number: int
    cameras: tuple[str, ...]
    intervals: int
    frames: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a store knows when it is opened."""

    last_number: int = 0
    """Highest object id ever given; 0: none."""
    live: tuple[KeptObject, ...] = ()
    sighted_objects: int = 0
    timelines: tuple[ObjectTimeline, ...] = ()
    """The first ten objects that were sighted."""


class TimelineStore(Protocol):
    """A database of one site. One caller at a time; nothing blocks the event loop.

    Every method raises `StoreError` when the database does not do what it is asked for.
    """

    async def open(self) -> Kept:
        """Connect, make the tables if they are missing, and read what earlier runs have left."""

    async def write(self, batch: Batch) -> None:
        """Write a batch in one transaction."""

    async def intervals(self, number: int, *, limit: int) -> list[Interval]:
        """The newest `limit` intervals of an object, the earliest first."""

    async def close(self) -> None:
        """Let the database go; a second time does nothing."""
