"""The objects that are tracked: their ids, targets, feature maps and ages. No I/O, no clock."""

from dataclasses import dataclass
from enum import StrEnum

from podstream_workloads.tracking.orchestrator import messages
from podstream_workloads.tracking.orchestrator.descriptors import Scheme


class EndReason(StrEnum):
    """Why an object is tracked no longer, as `trackEnded` says it."""

    STOPPED = "Stopped"
    MAX_TRACKED = "MaxTracked"
    IDLE = "Idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a client pointed at; every member is JSON as it was sent."""

    camera: bytes
    frame_id: bytes | None = None
    box_id: bytes | None = None
    image: bytes | None = None


@dataclass(slots=True, kw_only=True)
class TrackedObject:
    """One live object. Times are seconds of the monotonic clock."""

    number: int
    target: Target
    started_at: float
    seen_at: float
    feature_map: bytes | None = None
    scheme: Scheme | None = None

    @property
    def kept_bytes(self) -> int:
        """Memory of its picture and its feature map."""
        return len(self.target.image or b"") + len(self.feature_map or b"")

    def start_message(self) -> bytes:
        """`start` for the processor of its camera."""
        target = self.target
        return messages.start(
            self.number, frame_id=target.frame_id, box_id=target.box_id, image=target.image
        )


class ObjectTable:
    """Live objects and their ids, which go up by one and are never used again."""

    def __init__(self) -> None:
        self.live: dict[int, TrackedObject] = {}
        self.last_number = 0
        """Highest id ever given; every id from 1 to it was given once."""
        self.kept_bytes = 0
        """Memory of the pictures and feature maps of live objects."""

    def restore(self, objects: list[TrackedObject], *, last_number: int) -> None:
        """Take up what an earlier run has left."""
        self.live = {item.number: item for item in objects}
        self.last_number = last_number
        self.kept_bytes = sum(item.kept_bytes for item in objects)

    def next_number(self) -> int:
        """Give out the next id; it is used up, whatever becomes of it."""
        self.last_number += 1
        return self.last_number

    def add(self, number: int, target: Target, *, now: float) -> TrackedObject:
        """Track an object from now on."""
        item = TrackedObject(number=number, target=target, started_at=now, seen_at=now)
        self.live[number] = item
        self.kept_bytes += item.kept_bytes
        return item

    def describe(self, item: TrackedObject, feature_map: bytes, scheme: Scheme | None) -> None:
        """Keep a live object's newest feature map."""
        self.kept_bytes -= item.kept_bytes
        item.feature_map, item.scheme = feature_map, scheme
        self.kept_bytes += item.kept_bytes

    def end(self, number: int) -> TrackedObject | None:
        """Take an object out; None if it is not tracked."""
        item = self.live.pop(number, None)
        if item is not None:
            self.kept_bytes -= item.kept_bytes
        return item

    def due(
        self, now: float, *, max_tracked_s: float, idle_s: float
    ) -> list[tuple[TrackedObject, EndReason]]:
        """Objects whose time is over; a limit of 0 is none."""
        over = []
        for item in self.live.values():
            if max_tracked_s and now - item.started_at >= max_tracked_s:
                over.append((item, EndReason.MAX_TRACKED))
            elif idle_s and now - item.seen_at >= idle_s:
                over.append((item, EndReason.IDLE))
        return over
