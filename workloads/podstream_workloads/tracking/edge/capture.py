"""The thread that fills the slot: a file, an RTSP camera or a drawn scene.

Every source gives pictures with seconds of its own clock that never go back: a looped file and a
camera that was dialled again go on where they were.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import av
import numpy as np

from podstream_workloads.tracking.edge.errors import SourceFailed
from podstream_workloads.tracking.edge.latest import Frame, LatestFrame
from podstream_workloads.tracking.edge.settings import SourceSettings, SourceType
from podstream_workloads.tracking.edge.synthetic import drawn

logger = logging.getLogger(__name__)

_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 10.0
_JITTER: Final = 0.25  # of a frame's time: cameras do not keep their rate exactly
_FALLBACK_FPS: Final = 25.0  # of files that do not say when their pictures are due

Decoded = tuple[float, Any]
"""Seconds, and what PyAV decoded or a ready picture."""


class Capture:
    """One source and its thread."""

    def __init__(
        self,
        settings: SourceSettings,
        *,
        frames: LatestFrame,
        on_end: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            settings: which source.
            frames: the slot, closed when the source ends.
            on_end: called once from the thread: with nothing at the end of a file or when closed,
                else with what failed.
        """
        self._settings = settings
        self._frames = frames
        self._on_end = on_end
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-capture", daemon=True)
        self.taken = 0
        """Pictures given to the slot."""

    def start(self) -> None:
        """Begin; what cannot be opened is told to `on_end`."""
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> bool:
        """End; whether the thread did in time. Safe to call twice."""
        self._closing.set()
        self._frames.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failure = ""
        try:
            self._pump()
        except SourceFailed as error:
            failure = str(error)
        except Exception:
            logger.exception("capture failed")
            failure = "capture failed unexpectedly"
        self._frames.close()
        self._on_end("" if self._closing.is_set() else failure)

    def _pump(self) -> None:
        settings = self._settings
        spacing = (1.0 - _JITTER) / settings.fps if settings.fps > 0 else 0.0
        last_s = -math.inf
        began: float | None = None
        for index, (time_s, decoded) in enumerate(self._decoded()):
            if self._closing.is_set():
                return
            if time_s - last_s < spacing and not settings.every_frame:
                continue
            last_s = time_s
            image = decoded if isinstance(decoded, np.ndarray) else self._picture(decoded)
            frame = Frame(image, time_s, index)
            self.taken += 1
            if settings.every_frame:
                self._frames.put_waiting(frame)
                continue
            if settings.type is not SourceType.RTSP:  # a camera keeps the time itself
                began = time.monotonic() - time_s if began is None else began
                if self._closing.wait(max(0.0, began + time_s - time.monotonic())):
                    return
            self._frames.put(frame)

    def _picture(self, decoded: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
        if decoded.width * decoded.height > self._settings.max_pixels:
            raise SourceFailed(f"pictures of {decoded.width}x{decoded.height} are too large")
        return np.asarray(decoded.to_ndarray(format="bgr24"), dtype=np.uint8)

    def _decoded(self) -> Iterator[Decoded]:
        match self._settings.type:
            case SourceType.FILE:
                return self._file()
            case SourceType.RTSP:
                return self._camera()
            case SourceType.SYNTHETIC:
                return drawn(fps=self._settings.fps or 10.0)
            case SourceType.FED:
                raise SourceFailed("a fed source has nothing to capture")

    def _file(self) -> Iterator[Decoded]:
        start_s = 0.0
        while True:
            end_s = start_s
            for time_s, decoded in _play(self._settings.url, {}):
                end_s = max(end_s, start_s + time_s)
                yield start_s + time_s, decoded
            if end_s == start_s:
                raise SourceFailed(f"{self._settings.url}: no pictures")
            if not self._settings.loop:
                return
            start_s = end_s + 1.0 / (self._settings.fps or _FALLBACK_FPS)

    def _camera(self) -> Iterator[Decoded]:
        pause_s, start_s = _FIRST_RETRY_S, time.monotonic()
        # Seconds of the day's clock at the start, so that a restarted camera repeats no frame id.
        begin_s = time.time()
        timeout_us = str(round(self._settings.timeout_s * 1e6))
        options = {"rtsp_transport": "tcp", "timeout": timeout_us}
        while not self._closing.is_set():
            offset_s = begin_s + time.monotonic() - start_s
            try:
                for time_s, decoded in _play(self._settings.url, options):
                    pause_s = _FIRST_RETRY_S
                    yield offset_s + time_s, decoded
                    if self._closing.is_set():
                        return
                logger.info("the camera ended its stream")
            except SourceFailed as error:
                logger.warning("camera not reachable", extra={"why": str(error)})
            if self._closing.wait(pause_s):
                return
            pause_s = min(2.0 * pause_s, _LAST_RETRY_S)


def _play(url: str, options: dict[str, str]) -> Iterator[Decoded]:
    """Pictures of one pass, seconds from its first one, in order.

    Raises:
        SourceFailed: it cannot be opened or breaks off.
    """
    try:
        with av.open(url, options=options) as container:
            if not container.streams.video:
                raise SourceFailed(f"{url}: no video")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # one frame of delay per thread, and the pod has one
            first: float | None = None
            last_s, step_s = -math.inf, 1.0 / float(stream.average_rate or _FALLBACK_FPS)
            for decoded in container.decode(stream):
                told: float | None = getattr(decoded, "time", None)  # typed without None
                first = told if first is None else first
                time_s = last_s + step_s if told is None or first is None else told - first
                time_s = max(time_s, last_s + 1e-3, 0.0)
                last_s = time_s
                yield time_s, decoded
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceFailed(f"{url}: {error}") from error
