"""One camera's frames, one after the other: motion gate, detector, tracker, appearance.

The gate decides where the detector looks. With `Motion` it is the detector as well, so that one
background is kept. Any other detector sees the part of the picture in which something moves or is
being followed, and now and then the whole, so that who stands still is confirmed and what was
never there does not stay.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from podstream_workloads.tracking.edge import rects
from podstream_workloads.tracking.edge.background import Background, Foreground
from podstream_workloads.tracking.edge.descriptor import describe
from podstream_workloads.tracking.edge.detectors.base import Detection, Detector, Picture, Rect
from podstream_workloads.tracking.edge.detectors.make import make_detector
from podstream_workloads.tracking.edge.detectors.motion import Motion, detections_of
from podstream_workloads.tracking.edge.latest import Frame
from podstream_workloads.tracking.edge.settings import EdgeSettings
from podstream_workloads.tracking.edge.tracker import Track, Tracker
from podstream_workloads.tracking.edge.tracker.tracks import Appearance, State

_MARGIN: Final = 0.25  # around what moves: a detector needs to see the surroundings
_WHOLE: Final = 0.6  # of the picture: from here on the whole is as cheap
_LEAST_SIDE: Final = 64.0  # pixels of a part that is worth looking at
_NOWHERE: Final[Rect] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class TrackedBox:
    """One confirmed track in one frame."""

    track_id: int
    """The `boxId` of the wire."""
    rect: Rect
    """x1, y1, x2, y2 in parts of the picture, 0 to 1."""
    label: str
    certainty: float
    state: State
    age_s: float
    """Since it was first seen."""
    appearance: Appearance | None
    is_apart: bool
    """Nobody else is over it in this frame."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """What is in one frame."""

    frame_id: float
    """Its second on the stream's clock; always a float, which stock processors insist on."""
    index: int
    size: tuple[int, int]
    """Width and height, pixels."""
    boxes: tuple[TrackedBox, ...]
    ended: tuple[int, ...]
    """Tracks that ended since the last frame."""
    was_looked_at: bool
    """Whether the detector ran; a still picture needs none."""


class Analyser:
    """The whole of a camera's seeing, without threads. Not safe for use by two of them."""

    def __init__(self, settings: EdgeSettings, *, detector: Detector | None = None) -> None:
        """Make the detector unless one is given.

        Raises:
            EdgeError: it cannot be made.
        """
        self._settings = settings
        self.detector = detector or make_detector(settings.detector)
        self._background = Background(settings.motion)
        self._tracker = Tracker(settings.tracks)
        self._held: tuple[Rect, ...] = ()
        self._rechecked_s = -math.inf

    @property
    def tracks_ever(self) -> int:
        """Ids given so far."""
        return self._tracker.ids_given

    def analyse(self, frame: Frame) -> TrackedFrame:
        """Look at the next frame; a step back in time begins anew."""
        image, time_s = frame.image, frame.time_s
        size = (image.shape[1], image.shape[0])
        seen = self._background.look(image, time_s=time_s, held=self._held)
        if isinstance(self.detector, Motion):
            low = self._settings.tracks.low
            looked: Rect | None = None
            detections = detections_of(seen, confidence=low)
        else:
            looked, detections = self._detect(image, seen, time_s)

        def look(rect: Rect) -> Appearance | None:
            return describe(image, rect, foreground=seen.mask, scale=seen.scale)

        tracks = self._tracker.update(
            detections, time_s=time_s, size=size, looked=looked, describe=look
        )
        self._held = tuple(track.rect for track in tracks if track.still_s < self._settings.hold_s)
        return TrackedFrame(
            frame_id=float(time_s),
            index=frame.index,
            size=size,
            boxes=tuple(_box(track, size=size, time_s=time_s) for track in tracks),
            ended=self._tracker.ended,
            was_looked_at=looked != _NOWHERE,
        )

    def _detect(
        self, image: Picture, seen: Foreground, time_s: float
    ) -> tuple[Rect | None, list[Detection]]:
        """Where the detector looked, `None` for the whole, and what it found."""
        since_s = time_s - self._rechecked_s
        if seen.is_sudden or not 0.0 <= since_s < self._settings.recheck_s:
            self._rechecked_s = time_s
            return None, self.detector.detect(image)
        moving = [rect for rect, state in self._tracker.predicted() if state not in _AT_REST]
        region = region_of(
            [*(blob.rect for blob in seen.blobs), *moving], size=(image.shape[1], image.shape[0])
        )
        if region is None:
            return _NOWHERE, []
        x1, y1, x2, y2 = (round(side) for side in region)
        found = self.detector.detect(image[y1:y2, x1:x2])
        return region, [
            Detection(
                (one.rect[0] + x1, one.rect[1] + y1, one.rect[2] + x1, one.rect[3] + y1),
                one.score,
                one.label,
            )
            for one in found
        ]


_AT_REST: Final = frozenset({State.STATIONARY, State.LOST})


def region_of(moving: Sequence[Rect], *, size: tuple[int, int]) -> Rect | None:
    """The part of a picture in which a detector should look; `None` where nothing moves."""
    width, height = (float(side) for side in size)
    inside = [rects.clipped(rect, width=width, height=height) for rect in moving]
    inside = [rect for rect in inside if rect[2] > rect[0] and rect[3] > rect[1]]
    if not inside:
        return None
    region = rects.union([rects.grown(rect, _MARGIN) for rect in inside])
    wide, high = region[2] - region[0], region[3] - region[1]
    more_x, more_y = max(0.0, _LEAST_SIDE - wide) / 2.0, max(0.0, _LEAST_SIDE - high) / 2.0
    region = (region[0] - more_x, region[1] - more_y, region[2] + more_x, region[3] + more_y)
    region = rects.clipped(region, width=width, height=height)
    if (region[2] - region[0]) * (region[3] - region[1]) > _WHOLE * width * height:
        return 0.0, 0.0, width, height
    return region


def _box(track: Track, *, size: tuple[int, int], time_s: float) -> TrackedBox:
    width, height = (float(side) for side in size)
    x1, y1, x2, y2 = rects.clipped(track.rect, width=width, height=height)
    return TrackedBox(
        track_id=track.track_id,
        rect=(x1 / width, y1 / height, x2 / width, y2 / height),
        label=track.label,
        certainty=min(1.0, max(0.0, float(track.score))),
        state=track.state,
        age_s=time_s - track.born_s,
        appearance=track.appearance,
        is_apart=track.is_apart,
    )
