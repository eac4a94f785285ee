"""The worker thread between the slot and the event loop.

    capture thread -> LatestFrame -> worker thread (gate, detector, tracker, appearance) -> emit

OpenCV and onnxruntime release the interpreter's lock, so the event loop goes on while a detector
works; a new connection does not wait for it.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from podstream_workloads.tracking.edge.analysis import Analyser, TrackedFrame
from podstream_workloads.tracking.edge.detectors.base import Detector
from podstream_workloads.tracking.edge.latest import Frame, LatestFrame
from podstream_workloads.tracking.edge.settings import EdgeSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """How the work has gone so far."""

    detector: str
    detector_version: str
    received: int
    """Frames put into the slot."""
    dropped: int
    """Frames replaced before they were worked on."""
    processed: int
    looked_at: int
    """Frames of which the detector saw a part; the gate spared it the rest."""
    tracks: int
    """Ids given."""
    busy_s: float
    """Time spent on frames."""
    failed: int
    """Frames on which the work broke off."""


class Pipeline:
    """One camera's work."""

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        frames: LatestFrame,
        emit: Callable[[TrackedFrame], None],
        on_end: Callable[[], None] = lambda: None,
        on_done: Callable[[Frame], None] = lambda _: None,
        detector: Detector | None = None,
    ) -> None:
        """Make the detector unless one is given; reading a model may take a second.

        Args:
            settings: the edge.
            frames: the slot; the work ends when it is closed and empty.
            emit: gets each frame's boxes, called from the worker's thread.
            on_done: called from the worker's thread after each frame, also where the work on it
                broke off.
            on_end: called from the worker's thread when the last frame is done.
            detector: instead of the one that settings name.

        Raises:
            EdgeError: the detector cannot be made.
        """
        self._analyser = Analyser(settings, detector=detector)
        self._frames = frames
        self._emit = emit
        self._on_end = on_end
        self._on_done = on_done
        self._processed = self._looked_at = self._failed = 0
        self._busy_s = 0.0
        self._thread = threading.Thread(target=self._run, name="edge-worker", daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Close the slot and wait for the frame in work; whether it was done in time."""
        self._frames.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def figures(self) -> PipelineFigures:
        """As of now; may be called from any thread."""
        detector = self._analyser.detector
        return PipelineFigures(
            detector=detector.name,
            detector_version=detector.version,
            received=self._frames.received,
            dropped=self._frames.dropped,
            processed=self._processed,
            looked_at=self._looked_at,
            tracks=self._analyser.tracks_ever,
            busy_s=self._busy_s,
            failed=self._failed,
        )

    def _run(self) -> None:
        while (frame := self._frames.get()) is not None:
            began = time.perf_counter()
            try:
                tracked = self._analyser.analyse(frame)
                self._processed += 1
                self._looked_at += tracked.was_looked_at
                self._emit(tracked)
            except Exception:
                # A frame that no library can take must not end the camera; a log line per frame
                # would fill the disk.
                self._failed += 1
                if self._failed == 1:
                    logger.exception("a frame failed; further ones are only counted")
            self._busy_s += time.perf_counter() - began
            self._on_done(frame)
        self._on_end()
