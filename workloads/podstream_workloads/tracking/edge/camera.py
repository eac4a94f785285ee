"""A whole camera: source, work, connection to its site, and its figures against truth."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from podstream_workloads.tracking.edge.analysis import TrackedFrame
from podstream_workloads.tracking.edge.capture import Capture
from podstream_workloads.tracking.edge.detectors.base import Detector
from podstream_workloads.tracking.edge.latest import Frame, LatestFrame
from podstream_workloads.tracking.edge.pipeline import Pipeline, PipelineFigures
from podstream_workloads.tracking.edge.processor import Processor, ProcessorFigures
from podstream_workloads.tracking.edge.reidentify import Targets
from podstream_workloads.tracking.edge.settings import (
    EdgeSettings,
    ProcessorSettings,
    ReidentifySettings,
    SourceSettings,
    SourceType,
)
from podstream_workloads.tracking.metrics import Quality, evaluate, read_mot
from podstream_workloads.tracking.metrics.mot import Rect, Sequence

MOST_JUDGED_FRAMES = 50_000
"""Frames whose boxes are kept for the judgement; later ones do not count."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """Everything that a camera is told."""

    source: SourceSettings
    processor: ProcessorSettings | None
    """The way to its site; `None`: it has none, and its boxes are only counted."""
    edge: EdgeSettings = field(default_factory=EdgeSettings)
    reidentify: ReidentifySettings = field(default_factory=ReidentifySettings)
    truth: Path | None = None
    """MOT text file; the run is judged against it. Its frame 1 is the source's first."""


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """How a camera has done so far."""

    pipeline: PipelineFigures
    processor: ProcessorFigures | None
    """`None`: it has no site."""
    ended: bool
    """The source has ended, and every frame of it is done."""
    failure: str
    """Why the source ended, where it failed."""
    trouble: str
    """Why there are no pictures at present; empty where there are."""
    present: int
    """Tracks in the newest frame."""


class Camera:
    """Runs on one event loop; capture and work have threads of their own."""

    def __init__(self, settings: CameraSettings, *, detector: Detector | None = None) -> None:
        """Make the detector; blocks for as long as reading its model takes.

        Raises:
            EdgeError: the detector cannot be made.
            MotError: the truth is in no known format.
            OSError: the truth cannot be read.
        """
        self._settings = settings
        self._truth: Sequence | None = None if settings.truth is None else read_mot(settings.truth)
        self._judged: dict[int, dict[int, Rect]] = {}
        self.frames = LatestFrame()
        """The slot; who feeds a `Fed` source puts pictures here."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._processor: Processor | None = None
        if settings.processor is not None:
            self._processor = Processor(settings.processor, targets=Targets(settings.reidentify))
        self._pipeline = Pipeline(
            settings.edge,
            frames=self.frames,
            emit=self._hand_over,
            on_end=self._worker_ended,
            on_done=self._frame_done,
            detector=detector,
        )
        self._capture: Capture | None = None
        if settings.source.type is not SourceType.FED:
            self._capture = Capture(settings.source, frames=self.frames, on_end=self._source_ended)
        self._task: asyncio.Task[None] | None = None
        self._awaited: dict[int, asyncio.Future[None]] = {}
        self._failure = ""
        self._present = 0
        self.ended = asyncio.Event()
        """Set when the source has ended and every frame of it is done."""

    async def open(self) -> None:
        """Begin; the site need not be there yet."""
        self._loop = asyncio.get_running_loop()
        if self._processor is not None:
            self._task = asyncio.create_task(self._processor.run(), name="edge-processor")
        self._pipeline.start()
        if self._capture is not None:
            self._capture.start()

    async def close(self) -> None:
        """End all threads and the connection. Safe to call twice."""
        if self._capture is not None:
            await asyncio.to_thread(self._capture.close)
        await asyncio.to_thread(self._pipeline.close)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def figures(self) -> CameraFigures:
        """As of now."""
        return CameraFigures(
            pipeline=self._pipeline.figures(),
            processor=None if self._processor is None else self._processor.figures(),
            ended=self.ended.is_set(),
            failure=self._failure,
            trouble="" if self._capture is None else self._capture.trouble,
            present=self._present,
        )

    async def look_at(self, frame: Frame) -> None:
        """Have a frame worked on, and return when that is done: for sources that lose none."""
        done = self._awaited[frame.index] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.to_thread(self.frames.put_waiting, frame)
            await done
        finally:
            self._awaited.pop(frame.index, None)

    @property
    def judged_frames(self) -> int:
        """Frames that `quality` is about."""
        return len(self._judged)

    async def quality(self) -> Quality | None:
        """The run so far against its truth; `None` without any. Works in a thread: it is long.

        Frames that were left out on the way do not count; their number is among the figures.
        """
        if self._truth is None:
            return None
        judged = dict(self._judged)
        truth = {frame: self._truth.get(frame, {}) for frame in judged}
        return await asyncio.to_thread(evaluate, truth, judged)

    def _hand_over(self, frame: TrackedFrame) -> None:
        self._tell(partial(self._take, frame))

    def _frame_done(self, frame: Frame) -> None:
        if self._awaited:
            self._tell(partial(self._answer, frame.index))

    def _answer(self, index: int) -> None:
        waiting = self._awaited.get(index)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _take(self, frame: TrackedFrame) -> None:
        self._present = len(frame.boxes)
        if self._processor is not None:
            self._processor.send(frame)
        if self._truth is None or len(self._judged) >= MOST_JUDGED_FRAMES:
            return
        width, height = frame.size
        boxes: dict[int, Rect] = {}
        for box in frame.boxes:
            x1, y1, x2, y2 = box.rect
            boxes[box.track_id] = (x1 * width, y1 * height, x2 * width, y2 * height)
        self._judged[frame.index + 1] = boxes

    def _source_ended(self, failure: str) -> None:
        self._failure = failure

    def _worker_ended(self) -> None:
        self._tell(self.ended.set)

    def _tell(self, what: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(what)
