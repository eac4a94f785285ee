"""Detections in, tracks out: ByteTrack's two stages, and what a camera before people needs besides.

Sure detections are matched first, then doubtful ones may prolong what is left (Zhang et al.,
"ByteTrack", 2022). On top of it:

- one detection may hold several people who touch; their tracks go on inside it, and when it falls
  apart appearance and motion say who is who;
- appearance counts only where boxes overlap or have been merged: elsewhere motion knows better;
- an id is given at confirmation; who leaves the picture ends at once; who stands is stationary;
- nothing lives on doubtful detections alone.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge import rects as geometry
from podstream_workloads.tracking.edge.detectors.base import Detection, Rect
from podstream_workloads.tracking.edge.rects import Rects, as_array
from podstream_workloads.tracking.edge.tracker.assignment import assign
from podstream_workloads.tracking.edge.tracker.kalman import Motions
from podstream_workloads.tracking.edge.tracker.merging import places
from podstream_workloads.tracking.edge.tracker.tracks import (
    Appearance,
    Describe,
    Record,
    State,
    Track,
    TrackerSettings,
)

_OVERLAP: Final = 0.3  # nearness that a detection and a track have at least
_DOUBTFUL_OVERLAP: Final = 0.3
_COVERED: Final = 0.75  # part of a track inside another's detection: it is behind it or merged
_LARGER: Final = 1.2  # than its owner is a detection that holds another as well
_TOUCHING: Final = 0.1
_CLEAR: Final = 0.6  # cost of a match that is beyond doubt
_AT_ALL: Final = 1.0 - _OVERLAP
_APPEARANCE: Final = 1.0
_APPEARANCE_AFTER_MERGE: Final = 2.5  # motion inside a merged detection is mostly guessed
_LOOK_EVERY_S: Final = 0.5
_UNSEEN_S: Final = 0.5  # somebody unseen for so long may still be inside another's detection
_UNKNOWN: Final = 0.3  # distance of an appearance that nobody has seen yet
_FAR: Final = 1e6


class Tracker:
    """The tracks of one camera. Not safe for use by two threads."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._motions = Motions()
        self._records: list[Record] = []
        self._time_s = -math.inf
        self._last_id = 0
        self.ended: tuple[int, ...] = ()
        """Ids of tracks that the last update ended."""

    @property
    def ids_given(self) -> int:
        """How many tracks have been confirmed so far."""
        return self._last_id

    def predicted(self) -> list[tuple[Rect, State]]:
        """Where tracks are believed to be, those without an id and lost ones too."""
        found = zip(self._motions.rects().tolist(), self._records, strict=True)
        return [((x1, y1, x2, y2), record.state) for (x1, y1, x2, y2), record in found]

    def update(
        self,
        detections: Sequence[Detection],
        *,
        time_s: float,
        size: tuple[int, int],
        looked: Rect | None = None,
        describe: Describe | None = None,
    ) -> list[Track]:
        """Take one frame's detections; the confirmed tracks that are there now.

        Args:
            detections: what was found.
            time_s: the frame's second; a step back in time ends all tracks.
            size: width and height of the picture, pixels.
            looked: part of the picture in which the detector looked; the whole by default. Tracks
                that stand still outside are taken to be where they were.
            describe: looks at a part of this frame; called where it matters, not for every box.
        """
        settings = self._settings
        gone = [] if time_s >= self._time_s else [record.track_id for record in self._records]
        if gone:
            self._forget(np.zeros(len(self._records), dtype=np.bool_))
        if self._records:
            self._motions.predict(time_s - self._time_s)
        self._time_s = time_s
        for record in self._records:
            record.is_apart = True
        sure = [found for found in detections if found.score >= settings.high]
        doubtful = [found for found in detections if settings.low <= found.score < settings.high]
        free = self._match_sure(sure, describe)
        self._match_doubtful(doubtful)
        self._pass_over_unlooked(looked)
        self._look(describe)
        self._confirm()
        gone += self._end(size)
        self._begin([sure[index] for index in free])
        self.ended = tuple(track_id for track_id in gone if track_id)
        return [
            record.snapshot(time_s=time_s)
            for record in self._records
            if record.is_confirmed and record.state is not State.LOST
        ]

    def _match_sure(self, sure: list[Detection], describe: Describe | None) -> list[int]:
        """Match the first stage; indices of detections that are left."""
        if not sure or not self._records:
            return list(range(len(sure)))
        found, believed = as_array([one.rect for one in sure]), self._motions.rects()
        cost = self._cost(believed, found, describe)
        confirmed = [row for row, record in enumerate(self._records) if record.is_confirmed]
        young = [row for row, record in enumerate(self._records) if not record.is_confirmed]
        pairs: list[tuple[int, int]] = []
        # What is clear is settled first: one choice over all would move a whole row of people
        # up by one to make room for a box that belongs to nobody.
        for rows, limit in ((confirmed, _CLEAR), (confirmed, _AT_ALL), (young, _AT_ALL)):
            taken_rows, taken = {row for row, _ in pairs}, {column for _, column in pairs}
            rest = [row for row in rows if row not in taken_rows]
            columns = [column for column in range(len(sure)) if column not in taken]
            if rest and columns:
                chosen = assign(cost[np.ix_(rest, columns)], limit=limit)
                pairs += [(rest[row], columns[column]) for row, column in chosen]
        merged = self._merge(dict(pairs), believed, found, describe)
        matched = [(row, column) for row, column in pairs if row not in merged]
        self._see(matched, sure, found)
        taken = {column for _, column in pairs}
        return self._unclaimed(found, [one for one in range(len(sure)) if one not in taken])

    def _cost(
        self, believed: Rects, found: Rects, describe: Describe | None
    ) -> NDArray[np.float64]:
        near = self._motions.nearness(found)
        cost = np.where(near >= _OVERLAP, 1.0 - near, _FAR)
        if describe is None or len(self._records) < 2:  # noqa: PLR2004
            return cost
        touching = geometry.iou(believed, believed) > _TOUCHING
        np.fill_diagonal(touching, val=False)
        looks: dict[int, Appearance | None] = {}
        for row, record in enumerate(self._records):
            contested = record.was_merged or touching[row].any()
            if not contested:
                continue
            weight = _APPEARANCE_AFTER_MERGE if record.was_merged else _APPEARANCE
            near_by = np.flatnonzero(cost[row] < _FAR).tolist()
            off: list[float] = []
            for index in near_by:
                if index not in looks:
                    x1, y1, x2, y2 = found[index].tolist()
                    looks[index] = describe((x1, y1, x2, y2))
                look = looks[index]
                known = record.appearance
                off.append(_UNKNOWN if look is None or known is None else _unlike(known, look))
            # How much less like it than the likest: all may look different after a turn.
            for index, distance in zip(near_by, off, strict=True):
                cost[row, index] += weight * (distance - min(off))
        return cost

    def _merge(
        self, pairs: dict[int, int], believed: Rects, found: Rects, describe: Describe | None
    ) -> set[int]:
        """Let unmatched tracks go on inside a detection that is matched to another.

        Returns the rows that have no measure of their own, the matched one too unless the
        detection fits it.
        """
        left = [
            row
            for row, record in enumerate(self._records)
            if record.is_confirmed and row not in pairs and self._is_recent(record)
        ]
        if not left or not pairs:
            return set()
        shared = geometry.overlaps(believed, found) / np.maximum(
            geometry.areas(believed)[:, None], 1.0
        )
        owners = {column: row for row, column in pairs.items() if self._records[row].is_confirmed}
        merged: set[int] = set()
        for row in left:
            inside = [column for column in owners if shared[row, column] >= _COVERED]
            if not inside:
                continue
            column = max(inside, key=lambda one: shared[row, one])
            owner = owners[column]
            both = geometry.areas(np.stack((believed[owner], found[column])))
            is_one = both[1] < _LARGER * both[0]
            self._records[row].join(self._time_s)
            self._records[owner].join(self._time_s)
            members = (row,) if is_one else (row, owner)
            if len(members) > 1 and not merged & set(members):
                self._arrange(row, owner, found[column], describe)
            for member in members:
                self._share(member, found[column])
            merged.update(members)
        return merged

    def _arrange(self, one: int, other: int, rect: Rects, describe: Describe | None) -> None:
        rows = [one, other]
        (a, b, c, d), (e, f, g, h) = self._motions.rects()[rows].tolist()
        x1, y1, x2, y2 = rect.tolist()
        known = [self._records[row].appearance for row in rows]
        placed = places(
            ((a, b, c, d), (e, f, g, h)), (x1, y1, x2, y2), known=known, describe=describe
        )
        if placed is not None:
            self._motions.correct(np.array(rows), as_array(placed))

    def _is_recent(self, record: Record) -> bool:
        if record.was_merged and self._time_s - record.merged_s > self._settings.merged_s:
            return False  # believed for long enough: it is lost from here on
        return self._time_s - record.seen_s <= _UNSEEN_S

    def _share(self, row: int, rect: Rects) -> None:
        record = self._records[row]
        self._motions.move_inside(row, rect)
        x1, y1, x2, y2 = self._motions.rects()[row].tolist()
        record.rect, record.state, record.seen_s = (x1, y1, x2, y2), State.MERGED, self._time_s
        record.sure_s = self._time_s

    def _see(
        self, pairs: Sequence[tuple[int, int]], seen: Sequence[Detection], found: Rects
    ) -> None:
        if not pairs:
            return
        rows, columns = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True))
        self._motions.correct(rows, found[columns])
        for row, column in pairs:
            self._records[row].see(seen[column], time_s=self._time_s, settings=self._settings)

    def _unclaimed(self, found: Rects, free: list[int]) -> list[int]:
        """Without pieces of what is tracked already: nearly all of them lies in a track seen."""
        seen = [r.rect for r in self._records if r.is_confirmed and r.seen_s == self._time_s]
        if not seen or not free:
            return free
        pieces = found[free]
        inside = geometry.overlaps(pieces, as_array(seen)).max(axis=1)
        alone = inside < 0.9 * np.maximum(geometry.areas(pieces), 1.0)
        return [index for index, is_alone in zip(free, alone, strict=True) if is_alone]

    def _match_doubtful(self, doubtful: list[Detection]) -> None:
        settings = self._settings
        rows = [
            row
            for row, record in enumerate(self._records)
            if record.is_confirmed
            and record.seen_s < self._time_s
            and record.state is not State.LOST
            and self._time_s - record.sure_s <= settings.doubtful_s
        ]
        if not doubtful or not rows:
            return
        found = as_array([one.rect for one in doubtful])
        cost = 1.0 - geometry.iou(self._motions.rects()[rows], found)
        pairs = [(rows[r], c) for r, c in assign(cost, limit=1.0 - _DOUBTFUL_OVERLAP)]
        self._see(pairs, doubtful, found)

    def _pass_over_unlooked(self, looked: Rect | None) -> None:
        if looked is None:
            return
        for row, record in enumerate(self._records):
            if record.state is not State.STATIONARY or record.seen_s >= self._time_s:
                continue
            own = as_array([record.rect])
            if geometry.overlaps(own, as_array([looked]))[0, 0] < 0.5 * geometry.areas(own)[0]:
                record.seen_s = self._time_s
                self._motions.stand(row)

    def _look(self, describe: Describe | None) -> None:
        present = [r for r in self._records if r.seen_s == self._time_s and r.is_apart]
        if not present:
            return
        seen = as_array([record.rect for record in present])
        touching = geometry.iou(seen, seen) > _TOUCHING
        np.fill_diagonal(touching, val=False)
        touched: list[bool] = np.any(touching, axis=1).tolist()
        for record, is_touched in zip(present, touched, strict=True):
            record.is_apart = not is_touched
            if is_touched:
                continue
            record.was_merged = False
            is_due = self._time_s - record.looked_s >= _LOOK_EVERY_S
            if describe is not None and record.is_confirmed and is_due:
                record.look(describe(record.rect), time_s=self._time_s)

    def _confirm(self) -> None:
        for record in self._records:
            if record.is_confirmed or record.hits < 2 or record.seen_s < self._time_s:  # noqa: PLR2004
                continue
            if self._time_s - record.born_s >= self._settings.confirm_s - 1e-9:
                self._last_id += 1
                record.track_id, record.state = self._last_id, State.MOVING

    def _end(self, size: tuple[int, int]) -> list[int]:
        """Forget what has not been seen for too long; ids of what is gone."""
        kept = np.ones(len(self._records), dtype=np.bool_)
        velocities = self._motions.velocities()
        for row, record in enumerate(self._records):
            unseen_s = self._time_s - record.seen_s
            if unseen_s <= 0.0:
                continue
            if not record.is_confirmed:
                kept[row] = False
                continue
            record.state = State.LOST
            leaves = _is_leaving(record.rect, velocities[row], size)
            limit_s = self._settings.exit_s if leaves else self._settings.lost_s
            kept[row] = unseen_s <= limit_s
        gone = [r.track_id for r, is_kept in zip(self._records, kept, strict=True) if not is_kept]
        if gone:
            self._forget(kept)
        return gone

    def _forget(self, kept: NDArray[np.bool_]) -> None:
        self._motions.keep(kept)
        self._records = [r for r, is_kept in zip(self._records, kept, strict=True) if is_kept]

    def _begin(self, fresh: list[Detection]) -> None:
        if fresh:
            self._motions.add(as_array([one.rect for one in fresh]))
            self._records += [Record.of(one, time_s=self._time_s) for one in fresh]


def _unlike(one: Appearance, other: Appearance) -> float:
    return 1.0 - float(one @ other)


def _is_leaving(rect: Rect, velocity: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """At a border and not on the way back in."""
    x1, y1, x2, y2 = rect
    width, height = size
    near_x, near_y = 0.03 * width, 0.03 * height
    dx, dy = float(velocity[0]), float(velocity[1])
    still = 0.05 * (x2 - x1)
    sides = (
        x1 <= near_x and dx <= still,
        x2 >= width - near_x and dx >= -still,
        y1 <= near_y and dy < -still,
        y2 >= height - near_y and dy > still,
    )
    return any(sides)
