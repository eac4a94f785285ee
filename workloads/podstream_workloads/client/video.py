"""A client's own video: a file or a camera, frame by frame at the pace of its timestamps."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, Final

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from podstream_workloads.client.errors import ClientError
from podstream_workloads.media.clock import VIDEO_CLOCK_RATE

_TIME_BASE: Final = Fraction(1, VIDEO_CLOCK_RATE)
_USUAL_FPS: Final = 30
_MOST_FPS: Final = 120
_LATE_S: Final = 0.1
"""A frame that is later than this is skipped; files only, a camera's frames are never early."""
_MOST_SKIPPED: Final = 10
"""In a row: after so many the source does not keep its pace, and goes on at its own."""


class VideoSource:
    """Reads one video, once or over and over. Blocking, so for a thread; not for two at once."""

    def __init__(self, place: str, *, form: str | None, loop: bool) -> None:
        """Open it.

        Args:
            place: a file, a URL or a device that FFmpeg reads.
            form: FFmpeg's name of the input format, for devices (`v4l2`).
            loop: begin anew at the end.

        Raises:
            ClientError: it cannot be read, or holds no video.
        """
        self._place = place
        self._form = form
        self._loop = loop
        self._container: Any = self._open()
        stream = self._container.streams.video[0]
        self.width: int = stream.width & ~1
        self.height: int = stream.height & ~1
        rate = float(stream.average_rate or _USUAL_FPS)
        self.fps = max(1, min(_MOST_FPS, round(rate)))
        self._frames = self._decode()
        self._passed_s = 0.0

    def read(self) -> VideoFrame | None:
        """The next frame, its pts in ticks of 1/90000 s from the first one; `None` at the end.

        Raises:
            ClientError: the file is broken here, or the device has gone.
        """
        try:
            frame = next(self._frames, None)
        except (OSError, ValueError) as error:  # FFmpeg's errors are among them
            raise ClientError(f"cannot read {self._place} any further: {error}") from error
        if frame is None or (frame.width, frame.height) == (self.width, self.height):
            return frame
        # Pictures of 4:2:0 have pairs of rows and columns.
        even = frame.reformat(width=self.width, height=self.height, format="yuv420p")
        even.pts, even.time_base = frame.pts, frame.time_base
        return even

    def close(self) -> None:
        """Give the file or device back."""
        self._container.close()

    def _open(self) -> Any:
        try:
            container = av.open(self._place, format=self._form)
        except (OSError, ValueError) as error:  # FFmpeg's errors are among them
            raise ClientError(f"cannot read {self._place}: {error}") from error
        if not container.streams.video:
            container.close()
            raise ClientError(f"{self._place} holds no video")
        return container

    def _decode(self) -> Iterator[VideoFrame]:
        while True:
            first: float | None = None
            last = 0.0
            for frame in self._container.decode(video=0):
                at = float(frame.time or 0.0)
                first = at if first is None else first
                last = max(last, at - first)
                frame.pts = round((self._passed_s + at - first) * VIDEO_CLOCK_RATE)
                frame.time_base = _TIME_BASE
                yield frame
            if not self._loop or first is None:
                return
            self._passed_s += last + 1 / self.fps
            self._container.close()
            self._container = self._open()


class VideoTrack(MediaStreamTrack):
    """A source's frames when they are due; those that are late are skipped and counted."""

    kind = "video"

    def __init__(self, source: VideoSource, *, pool: ThreadPoolExecutor) -> None:
        super().__init__()
        self._source = source
        self._pool = pool
        self._start: float | None = None
        self.over = asyncio.Event()
        """Set at the end of the video."""
        self.fault: ClientError | None = None
        """Why the video could not be read to its end."""
        self.sent = 0
        self._skipped = 0

    async def recv(self) -> VideoFrame:
        """The next frame, when it is due.

        Raises:
            MediaStreamError: the video has ended or the track was stopped.
        """
        loop = asyncio.get_running_loop()
        while self.readyState == "live":
            try:
                frame = await loop.run_in_executor(self._pool, self._source.read)
            except ClientError as error:
                self.fault = error
                break
            if frame is None or frame.pts is None:
                break
            at = frame.pts / VIDEO_CLOCK_RATE
            now = time.monotonic()
            if self._start is None or self._skipped >= _MOST_SKIPPED:
                self._start = now - at
            wait_s = self._start + at - now
            if wait_s < -_LATE_S:
                self._skipped += 1
                continue
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._skipped = 0
            self.sent += 1
            return frame
        self.over.set()
        raise MediaStreamError
