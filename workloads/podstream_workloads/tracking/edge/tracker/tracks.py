"""A track: what is known about one thing, and the settings by which it lives."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge.detectors.base import Detection, Rect

Appearance: TypeAlias = NDArray[np.float32]
"""Of length 1, so that a product is a similarity."""

Describe: TypeAlias = Callable[[Rect], Appearance | None]
"""Appearance of a part of the present picture; `None` where it is too small to tell."""

_KEPT: Final = 0.8  # how much of a known appearance outlives a new look


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """When tracks begin, go on and end. Times are in seconds, whatever the frame rate."""

    high: float = 0.5
    """Detections from this score on may begin a track; lower ones only prolong one."""
    low: float = 0.1
    """Detections below are ignored."""
    confirm_s: float = 0.2
    """A track gets its id once it has been seen for so long, and at least twice."""
    lost_s: float = 1.5
    """A track that has not been seen for so long ends."""
    doubtful_s: float = 2.0
    """A track that only low scores prolong ends after so long: it may be nothing."""
    exit_s: float = 0.4
    """A track that was leaving the picture when it was last seen ends after so long."""
    still_s: float = 2.0
    """Who stays in place for so long is stationary."""
    merged_s: float = 15.0
    """Tracks that share one detection are believed for so long."""


class State(StrEnum):
    """Where a track stands in its life."""

    TENTATIVE = "tentative"
    MOVING = "moving"
    STATIONARY = "stationary"
    MERGED = "merged"
    """Seen only together with another in one detection."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Track:
    """One thing in one frame."""

    track_id: int
    """From 1 up, given at confirmation, never used again."""
    rect: Rect
    score: float
    label: str
    state: State
    born_s: float
    appearance: Appearance | None
    """Mean of what was seen of it while it was apart from others."""
    is_apart: bool
    """Whether this frame shows it without another over it."""
    still_s: float
    """Seconds since it last moved."""


@dataclass(slots=True)
class Record:
    """What a tracker remembers of a track besides its motion."""

    rect: Rect
    score: float
    label: str
    born_s: float
    seen_s: float
    sure_s: float
    """Last second of a high score."""
    place: tuple[float, float]
    place_s: float
    """Where it was when it last moved, and when."""
    track_id: int = 0
    hits: int = 1
    state: State = State.TENTATIVE
    was_merged: bool = False
    """It has been part of a merged detection and was not told apart since."""
    merged_s: float = math.inf
    appearance: Appearance | None = None
    looked_s: float = -math.inf
    is_apart: bool = field(default=True)

    @classmethod
    def of(cls, detection: Detection, *, time_s: float) -> "Record":
        """A track that begins."""
        rect = detection.rect
        middle = (0.5 * (rect[0] + rect[2]), 0.5 * (rect[1] + rect[3]))
        score, label = detection.score, detection.label
        return cls(rect, score, label, time_s, time_s, time_s, middle, time_s)

    @property
    def is_confirmed(self) -> bool:
        """Whether it has its id."""
        return self.track_id > 0

    def see(self, detection: Detection, *, time_s: float, settings: TrackerSettings) -> None:
        """It is where a detection is."""
        self.rect, self.score, self.label = detection.rect, detection.score, detection.label
        self.seen_s, self.hits = time_s, self.hits + 1
        if detection.score >= settings.high:
            self.sure_s = time_s
        self._settle(time_s, settings)

    def _settle(self, time_s: float, settings: TrackerSettings) -> None:
        x1, y1, x2, y2 = self.rect
        middle = (0.5 * (x1 + x2), 0.5 * (y1 + y2))
        # A swinging arm moves the middle of a narrow box: judge by the mean of both sides.
        size = 0.5 * (x2 - x1 + y2 - y1)
        if math.dist(middle, self.place) > 0.2 * size:
            self.place, self.place_s = middle, time_s
        if self.is_confirmed:
            still = time_s - self.place_s >= settings.still_s
            self.state = State.STATIONARY if still else State.MOVING

    def join(self, time_s: float) -> None:
        """It shares a detection with another."""
        self.is_apart = False
        if not self.was_merged:
            self.was_merged, self.merged_s = True, time_s

    def look(self, seen: Appearance | None, *, time_s: float) -> None:
        """Take one look at it into what is known of it."""
        self.looked_s = time_s
        if seen is None:
            return
        if self.appearance is None:
            self.appearance = seen
            return
        mixed = _KEPT * self.appearance + (1.0 - _KEPT) * seen
        self.appearance = (mixed / max(float(np.linalg.norm(mixed)), 1e-9)).astype(np.float32)

    def snapshot(self, *, time_s: float) -> Track:
        """As others may see it."""
        return Track(
            track_id=self.track_id,
            rect=self.rect,
            score=self.score,
            label=self.label,
            state=self.state,
            born_s=self.born_s,
            appearance=self.appearance,
            is_apart=self.is_apart,
            still_s=time_s - self.place_s,
        )
