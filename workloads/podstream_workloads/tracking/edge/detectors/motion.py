"""Whatever moves, without a model: the detector that is always there.

It finds motion, not people: two that touch are one detection (the tracker knows how to live with
that), and what has never moved is not seen.
"""

import time
from collections.abc import Callable, Sequence

import cv2

from podstream_workloads.tracking.edge.background import Background, Foreground, MotionSettings
from podstream_workloads.tracking.edge.detectors.base import Detection, Picture, Rect

LABEL = "object"


def detections_of(foreground: Foreground, *, confidence: float) -> list[Detection]:
    """Blobs as detections; a blob that fills half of its rectangle is certain."""
    scored = [(blob.rect, min(1.0, 0.4 + 1.2 * blob.fill)) for blob in foreground.blobs]
    return [Detection(rect, score, LABEL) for rect, score in scored if score >= confidence]


class Motion:
    """Detects by background subtraction; pictures must come from one still camera, in order."""

    name = "motion"
    version = f"mog2-{cv2.__version__}"

    def __init__(
        self,
        *,
        confidence: float = 0.5,
        settings: MotionSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without a background: the first picture becomes it.

        Args:
            confidence: detections below are left out, 0 to 1.
            settings: how motion is seen.
            clock: seconds; learning is per second.
        """
        self._background = Background(settings)
        self._confidence = confidence
        self._clock = clock
        self._held: tuple[Rect, ...] = ()

    def hold(self, held: Sequence[Rect]) -> None:
        """Rectangles under which the next pictures are not learnt: people who stand still."""
        self._held = tuple(held)

    def detect(self, image: Picture) -> list[Detection]:
        """What differs from the background learnt so far."""
        seen = self._background.look(image, time_s=self._clock(), held=self._held)
        return detections_of(seen, confidence=self._confidence)
