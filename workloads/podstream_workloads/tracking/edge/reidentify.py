"""Which track is which object: what `start` bound, and who was recognised.

An object is taken for a track by the *ratio* of the best distance to the second best, never by a
distance alone: two people may look alike at 0.04. The second best is sought on both sides: other
objects that the track could be, and others in the same picture whom the object could be. An object
is at most at one place per camera, and a track is at most one object.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from podstream_workloads.tracking.edge.analysis import TrackedBox
from podstream_workloads.tracking.edge.descriptor import Descriptor
from podstream_workloads.tracking.edge.settings import ReidentifySettings

_REMEMBERED: Final = 512  # tracks that a late `start` may still name
MOST_OBJECTS: Final = 1024
_FRAME_SLACK_S: Final = 10.0  # a viewer may click on a picture that is so old
_CHANGED: Final = 0.05  # distance from which a feature map is worth sending anew


@dataclass(slots=True)
class _Look:
    """A track as it was last seen, and from when to when it was there."""

    descriptor: Descriptor | None
    first_frame: float
    last_frame: float


@dataclass(slots=True)
class _Object:
    """Somebody whom the site looks for."""

    descriptor: Descriptor | None = None
    track_id: int = 0
    """Where it is, or was last, on this camera; 0 for nowhere."""
    known_s: float = -math.inf
    """When it was last heard of: seen here, or its map came."""
    was_here: bool = False
    started_on: tuple[int, float | None] | None = None
    sent: Descriptor | None = None
    sent_s: float = -math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """What one frame's boxes are."""

    objects: dict[int, int]
    """Object by track."""
    feature_maps: tuple[tuple[int, Descriptor], ...]
    """To be told to the site: object and map."""


class Targets:
    """The site's objects as one camera knows them. Not safe for use by two threads."""

    def __init__(self, settings: ReidentifySettings | None = None) -> None:
        self._settings = settings or ReidentifySettings()
        self._objects: dict[int, _Object] = {}
        self._looks: OrderedDict[int, _Look] = OrderedDict()

    @property
    def objects(self) -> tuple[int, ...]:
        """Objects that are looked for."""
        return tuple(self._objects)

    def knows_track(self, track_id: int, *, frame_id: float | None) -> bool:
        """Whether a box of a frame is a track seen not too long ago.

        After a restart ids begin again, and the site repeats what was started before it: then the
        id is somebody else's, and the frame tells.
        """
        look = self._looks.get(track_id)
        if look is None or frame_id is None:
            return look is not None
        return look.first_frame - 1.0 <= frame_id <= look.last_frame + _FRAME_SLACK_S

    def start(
        self,
        object_id: int,
        *,
        track_id: int | None = None,
        frame_id: float | None = None,
        picture: Descriptor | None = None,
        now_s: float,
    ) -> None:
        """Look for an object from now on. The same `start` again changes nothing.

        Args:
            object_id: the site's id.
            track_id: the box that was chosen, if any; a track that is another object's becomes
                this one's.
            frame_id: the frame in which it was chosen.
            picture: what it looks like, for when the track is not known.
            now_s: seconds on a monotonic clock.
        """
        known = self._take(object_id)
        if known is None:
            return
        known.known_s = now_s
        if track_id is not None and self.knows_track(track_id, frame_id=frame_id):
            if known.started_on == (track_id, frame_id):
                return  # the site repeats itself after a lost connection
            known.started_on = (track_id, frame_id)
            for other in self._objects.values():
                other.track_id = 0 if other.track_id == track_id else other.track_id
            known.track_id, known.was_here = track_id, True
            known.descriptor = self._looks[track_id].descriptor or picture or known.descriptor
        elif picture is not None:
            known.descriptor = picture

    def stop(self, object_id: int) -> None:
        """Look for it no longer."""
        self._objects.pop(object_id, None)

    def feature_map(self, object_id: int, descriptor: Descriptor | None, *, now_s: float) -> None:
        """Take the site's map of an object; without one, only that it exists."""
        known = self._take(object_id)
        if known is None or descriptor is None:
            return
        is_own = (
            known.sent is not None
            and known.sent.is_comparable(descriptor)
            and known.sent.distance(descriptor) < 1e-3  # noqa: PLR2004 - as rounded on the wire
        )
        if is_own:
            return  # the site tells everybody, the sender too
        known.descriptor, known.known_s, known.was_here = descriptor, now_s, False

    def observe(
        self, boxes: Sequence[TrackedBox], *, now_s: float, frame_id: float = 0.0
    ) -> Sightings:
        """Say who is who in a frame, and what the site should learn of them."""
        for box in boxes:
            descriptor = None if box.appearance is None else Descriptor(box.appearance)
            look = self._looks.setdefault(box.track_id, _Look(None, frame_id, frame_id))
            look.descriptor, look.last_frame = descriptor, frame_id
            self._looks.move_to_end(box.track_id)
        while len(self._looks) > _REMEMBERED:
            self._looks.popitem(last=False)
        present = {box.track_id: box for box in boxes}
        self._recognise(present, now_s)
        bound = {
            known.track_id: number
            for number, known in self._objects.items()
            if known.track_id in present
        }
        maps = []
        for track_id, number in bound.items():
            known = self._objects[number]
            known.known_s, known.was_here = now_s, True
            if (news := self._news(known, present[track_id], now_s)) is not None:
                known.descriptor = known.sent = news
                known.sent_s = now_s
                maps.append((number, news))
        return Sightings(bound, tuple(maps))

    def _take(self, object_id: int) -> _Object | None:
        known = self._objects.get(object_id)
        if known is None and len(self._objects) < MOST_OBJECTS:
            known = self._objects[object_id] = _Object()
        return known

    def _news(self, known: _Object, box: TrackedBox, now_s: float) -> Descriptor | None:
        """A feature map that the site should have; `None` where it has a good one."""
        look = self._looks[box.track_id].descriptor
        if look is None:
            return None
        if known.sent is None:
            return look
        if now_s - known.sent_s < self._settings.refresh_s or not box.is_apart:
            return None
        return look if known.sent.distance(look) >= _CHANGED else None

    def _recognise(self, present: dict[int, TrackedBox], now_s: float) -> None:
        settings = self._settings
        taken = {known.track_id for known in self._objects.values()} & present.keys()
        free = [
            box
            for track_id, box in present.items()
            if track_id not in taken and box.age_s >= settings.settle_s and box.is_apart
        ]
        wanted = [
            number
            for number, known in self._objects.items()
            if known.track_id not in present and self._may_be_here(known, now_s)
        ]
        if not free or not wanted:
            return
        found: list[tuple[float, int, int]] = []
        for number in wanted:
            for box in free:
                distance = self._distance(number, box.track_id)
                limit = min(settings.far, self._limit(number, box.track_id, present))
                if distance <= limit:
                    found.append((distance, number, box.track_id))
        chosen: set[int] = set()
        for _, number, track_id in sorted(found):
            if self._objects[number].track_id not in present and track_id not in chosen:
                self._objects[number].track_id = track_id
                chosen.add(track_id)

    def _may_be_here(self, known: _Object, now_s: float) -> bool:
        if known.descriptor is None:
            return False
        away_s = now_s - known.known_s
        if away_s > self._settings.max_travel_s:
            return False
        return known.was_here or away_s >= self._settings.min_travel_s

    def _limit(self, number: int, track_id: int, present: dict[int, TrackedBox]) -> float:
        """The largest distance at which the ratio to the second best is good enough."""
        rivals = [self._distance(other, track_id) for other in self._objects if other != number]
        rivals += [self._distance(number, other) for other in present if other != track_id]
        second = min((rival for rival in rivals if math.isfinite(rival)), default=math.inf)
        settings = self._settings
        return settings.near if math.isinf(second) else settings.ratio * second

    def _distance(self, number: int, track_id: int) -> float:
        known = self._objects[number].descriptor
        look = self._looks[track_id].descriptor
        if known is None or look is None or not known.is_comparable(look):
            return math.inf
        return max(0.0, known.distance(look))
