"""Runs of tracking over scenes, with or without pictures, and the naive tracker beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from podstream_workloads.tracking.edge.background import Background
from podstream_workloads.tracking.edge.descriptor import describe
from podstream_workloads.tracking.edge.detectors.base import Detection, Rect
from podstream_workloads.tracking.edge.detectors.motion import detections_of
from podstream_workloads.tracking.edge.rects import as_array, iou
from podstream_workloads.tracking.edge.tracker import Track, Tracker
from podstream_workloads.tracking.metrics import Quality, evaluate
from tracking.scenes.walkers import HEIGHT, WIDTH, Scene

Boxes = dict[int, dict[int, Rect]]


def follow(scene: Scene) -> Quality:
    """Motion, tracker and appearance over a rendered scene, against its truth."""
    background, tracker = Background(), Tracker()
    truth: Boxes = {}
    result: Boxes = {}
    held: list[Rect] = []
    for frame, boxes in scene.render():
        seen = background.look(frame.image, time_s=frame.time_s, held=held)

        def look(rect: Rect, image=frame.image, seen=seen):  # type: ignore[no-untyped-def]
            return describe(image, rect, foreground=seen.mask, scale=seen.scale)

        tracks = tracker.update(
            detections_of(seen, confidence=0.1),
            time_s=frame.time_s,
            size=(WIDTH, HEIGHT),
            describe=look,
        )
        held = [track.rect for track in tracks]
        truth[frame.index + 1] = boxes
        result[frame.index + 1] = {track.track_id: track.rect for track in tracks}
    return evaluate(truth, result)


def follow_naively(scene: Scene) -> Quality:
    """The baseline: plain MOG2 at full size and greedy overlap with the last frame."""
    background, naive = Background(), NaiveTracker()
    truth: Boxes = {}
    result: Boxes = {}
    for frame, boxes in scene.render():
        seen = background.look(frame.image, time_s=frame.time_s)
        truth[frame.index + 1] = boxes
        result[frame.index + 1] = naive.update([blob.rect for blob in seen.blobs])
    return evaluate(truth, result)


@dataclass
class NaiveTracker:
    """Each box goes on as the box of the last frame that it overlaps most, by 0.3 at least."""

    last: dict[int, Rect] = field(default_factory=dict)
    given: int = 0

    def update(self, rects: Sequence[Rect]) -> dict[int, Rect]:
        old = dict(self.last)
        self.last = {}
        for rect in rects:
            best = max(
                old, key=lambda one: iou(as_array([old[one]]), as_array([rect]))[0, 0], default=None
            )
            if best is None or iou(as_array([old[best]]), as_array([rect]))[0, 0] < 0.3:
                self.given += 1
                best = self.given
            old.pop(best, None)
            self.last[best] = rect
        return self.last


@dataclass
class Boxed:
    """Feeds a tracker with rectangles instead of pictures."""

    tracker: Tracker
    fps: float = 10.0
    frames: int = 0
    start_s: float = 0.0

    def feed(
        self, detections: Sequence[Detection], *, looked: Rect | None = None, wait_s: float = 0.0
    ) -> list[Track]:
        self.start_s += wait_s
        time_s = self.start_s + self.frames / self.fps
        self.frames += 1
        return self.tracker.update(detections, time_s=time_s, size=(WIDTH, HEIGHT), looked=looked)


def person(x: float, y: float = 200.0, *, score: float = 0.9) -> Detection:
    """A detection of somebody whose feet are at x, y."""
    return Detection((x - 15.0, y - 80.0, x + 15.0, y), score, "person")


def walking(start: float, speed: float, *, fps: float) -> Iterator[Detection]:
    """Somebody who walks, pixels per second, a detection per frame; noise of a pixel."""
    rng = np.random.default_rng(3)
    frame = 0
    while True:
        yield person(start + speed * frame / fps + float(rng.normal()))
        frame += 1
