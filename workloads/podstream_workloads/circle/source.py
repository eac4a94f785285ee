"""The video track: draws the ball on an absolute clock and remembers where it was."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from podstream_workloads.circle.draw import Canvas
from podstream_workloads.circle.motion import Motion
from podstream_workloads.circle.truth import Truth, TruthRing
from podstream_workloads.media.clock import VIDEO_CLOCK_RATE, FrameClock, pts_of
from podstream_workloads.media.rate import RateGovernor

_TIME_BASE = Fraction(1, VIDEO_CLOCK_RATE)


class BallTrack(MediaStreamTrack):
    """Frames of one connection.

    Frame 0 leaves at once; the clock starts when `release` is called, at once unless `hold_first`.
    aiortc asks for the next frame when all packets of the last one have left, so the time between
    is what encoding and sending took.
    """

    kind = "video"

    def __init__(
        self,
        motion: Motion,
        *,
        canvas: Canvas,
        fps: int,
        hold_first: bool,
        is_coded: bool = False,
        on_frame: Callable[[int], None],
        on_first_sent: Callable[[], None],
    ) -> None:
        super().__init__()
        self._motion = motion
        self._canvas = canvas
        self._fps = fps
        self._on_frame = on_frame
        self._on_first_sent = on_first_sent
        self._is_coded = is_coded
        self._clock: FrameClock | None = None
        self._released = asyncio.Event()
        self._last_index = -1
        self._handed_at = 0.0
        self.truth = TruthRing()
        self.rate = RateGovernor(fps=fps)
        """How many of the clock's frames are sent."""
        if not hold_first:
            self._released.set()

    @property
    def last_pts(self) -> int | None:
        """Presentation time of the last frame that was handed out, ticks of 1/90000 s."""
        return None if self._last_index < 0 else pts_of(self._last_index, fps=self._fps)

    @property
    def is_held(self) -> bool:
        """Whether frame 0 is shown until somebody is known to receive."""
        return not self._released.is_set()

    def release(self) -> None:
        """Let the ball move."""
        self._released.set()

    async def recv(self) -> VideoFrame:
        """The next frame, when it is due.

        Raises:
            MediaStreamError: the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        if self._last_index < 0:
            return self._draw(0, skipped=0)
        asked_at = time.monotonic()
        self.rate.sent(asked_at - self._handed_at, now=asked_at)
        if self._clock is None:
            self._on_first_sent()
            await self._released.wait()
            self._redate_first()
            self._clock = FrameClock(fps=self._fps, start=time.monotonic())
            self._clock.next(time.monotonic())
        due = self._clock.next(time.monotonic(), rate=self.rate.fps)
        if due.wait_s:
            await asyncio.sleep(due.wait_s)
        self._motion.advance(due.skipped + 1)
        return self._draw(due.index, skipped=due.skipped)

    def _redate_first(self) -> None:
        """Frame 0 counts from the end of its hold: the wait was not the client's latency."""
        first = self.truth.take(0)
        if first is not None:
            self.truth.add(replace(first, drawn_at=time.monotonic()))

    def _draw(self, index: int, *, skipped: int) -> VideoFrame:
        x, y = self._motion.position
        frame = self._canvas.draw(x, y, number=index if self._is_coded else None)
        frame.pts = pts_of(index, fps=self._fps)
        frame.time_base = _TIME_BASE
        self._handed_at = time.monotonic()
        self.truth.add(Truth(index, x, y, drawn_at=self._handed_at))
        self._last_index = index
        self._on_frame(skipped)
        return frame
