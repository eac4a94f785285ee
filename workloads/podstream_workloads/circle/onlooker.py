"""Looks for the ball in the frames of the session's stream, which the stream's process hands over.

The newest frame is looked at where it lies, in a thread; places go back to the stream's publisher,
named by the time stamp that the publisher has given to the frame.
"""

import asyncio
import contextlib
import logging
import threading
import time
from fractions import Fraction
from typing import Final, Protocol

from av import VideoFrame
from av.video.reformatter import VideoReformatter

from podstream_workloads.circle.channel import Estimate, format_estimate
from podstream_workloads.circle.estimators import BallEstimator, Point
from podstream_workloads.media.clock import VIDEO_CLOCK_RATE
from podstream_workloads.sharing import FrameReader, SharedFrame

logger = logging.getLogger(__name__)

_TIME_BASE: Final = Fraction(1, VIDEO_CLOCK_RATE)
_JOIN_S: Final = 1.5
"""For the frame that is being looked at; the agent gives a workload 3 s to end."""


class OnlookerEvents(Protocol):
    """Who is told what was seen, on the event loop."""

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """A frame was looked at; `found` is `None` where it shows no ball."""


class Onlooker:
    """Looks on from `start` to `close`, or to the stream's end."""

    codec = None
    """Frames come decoded."""

    def __init__(
        self, reader: FrameReader, estimator: BallEstimator, *, events: OnlookerEvents
    ) -> None:
        """Prepare; the reader is closed by `close`."""
        self._reader = reader
        self._estimator = estimator
        self._events = events
        self._reformatter = VideoReformatter()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="circle-frames", daemon=True)
        self.received = 0
        """Frames of the stream up to the last one that was looked at."""
        self.dropped = 0
        """Of these, frames that a newer one replaced."""

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    async def close(self) -> None:
        """End; the thread is over then, unless a frame takes it longer than it may."""
        self._reader.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _JOIN_S)

    def _run(self) -> None:
        while (shared := self._reader.next()) is not None:
            try:
                frame = self._picture(shared)
                found = self._estimator.estimate(frame)
            except Exception:  # one frame that no estimator is ready for must not end the looking
                logger.exception("frame %d of the stream cannot be looked at", shared.sequence)
                continue
            if shared.mark is not None:
                mark = shared.mark
                seen = Estimate(found, mark.pts, mark.rtp_timestamp, radius=self._estimator.radius)
                self._reader.note(format_estimate(seen))
            counts = self._reader.received, self._reader.dropped
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._tell, frame, found, counts)

    def _picture(self, shared: SharedFrame) -> VideoFrame:
        """The frame as estimators take it, planar; its own copy."""
        packed = VideoFrame.from_ndarray(shared.image, format="bgr24")
        picture = self._reformatter.reformat(packed, format="yuv420p")
        mark = shared.mark
        picture.pts = round(shared.at * VIDEO_CLOCK_RATE) if mark is None else mark.pts
        picture.time_base = _TIME_BASE
        return picture

    def _tell(self, frame: VideoFrame, found: Point | None, counts: tuple[int, int]) -> None:
        self.received, self.dropped = counts
        self._events.looked(frame, found, now=time.monotonic())
