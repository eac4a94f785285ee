"""Pictures that somebody else brings, on their way into a camera's slot.

They get the seconds of the day's clock as their time, so that a camera that is started anew repeats
no frame id, and never go back. Called by one thread at a time.
"""

import math
import time
from collections.abc import Callable
from typing import Final

from podstream_workloads.tracking.edge.detectors.base import Picture
from podstream_workloads.tracking.edge.latest import Frame, LatestFrame

_JITTER: Final = 0.25  # of a frame's time: senders do not keep their rate exactly
_LEAST_STEP_S: Final = 1e-3


class Feed:
    """Numbers and dates pictures, and leaves out what is beyond a rate."""

    def __init__(
        self, frames: LatestFrame, *, fps: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Prepare; an `fps` of 0 takes every picture."""
        self._frames = frames
        self._spacing_s = (1.0 - _JITTER) / fps if fps > 0 else 0.0
        self._clock = clock
        self._last_s = -math.inf
        self._count = 0

    def is_due(self) -> bool:
        """Whether a picture of this moment would be taken."""
        return self._clock() - self._last_s >= self._spacing_s

    def put(self, image: Picture) -> None:
        """Show a picture: it takes the place of one that waits."""
        self._frames.put(self.frame(image))

    def frame(self, image: Picture, *, age_s: float = 0.0) -> Frame:
        """The next frame, not yet in the slot; `age_s` is the time since it has come."""
        self._last_s = max(self._clock() - age_s, self._last_s + _LEAST_STEP_S)
        frame = Frame(image, self._last_s, self._count)
        self._count += 1
        return frame
