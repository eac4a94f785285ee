"""The thread that fills the slot: a file, an RTSP camera or a drawn scene.

Every source gives pictures with seconds of its own clock that never go back: a looped file and a
camera that was dialled again go on where they were.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.container import InputContainer

from podstream_workloads.media.rtsp import NameNotFound, describe, host_of, open_rtsp
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
        self.trouble = ""
        """Why a camera gives no pictures at present; empty where it does."""

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
            end_s, came = start_s, False
            for time_s, decoded in _file_pictures(self._settings.url):
                end_s, came = max(end_s, start_s + time_s), True
                yield start_s + time_s, decoded
            if not came:
                raise SourceFailed(f"{Path(self._settings.url).name}: no pictures")
            if not self._settings.loop:
                return
            start_s = end_s + 1.0 / (self._settings.fps or _FALLBACK_FPS)

    def _camera(self) -> Iterator[Decoded]:
        pause_s, start_s = _FIRST_RETRY_S, time.monotonic()
        # Seconds of the day's clock at the start, so that a restarted camera repeats no frame id.
        begin_s = time.time()
        while not self._closing.is_set():
            offset_s = begin_s + time.monotonic() - start_s
            try:
                for time_s, decoded in _rtsp_pictures(
                    self._settings.url, timeout_s=self._settings.timeout_s
                ):
                    pause_s, self.trouble = _FIRST_RETRY_S, ""
                    yield offset_s + time_s, decoded
                    if self._closing.is_set():
                        return
                self.trouble = f"{host_of(self._settings.url)} has ended the stream"
            except SourceFailed as error:
                self.trouble = str(error)
            logger.warning("no pictures", extra={"why": self.trouble, "again_in_s": pause_s})
            if self._closing.wait(pause_s):
                return
            pause_s = min(2.0 * pause_s, _LAST_RETRY_S)


def _file_pictures(path: str) -> Iterator[Decoded]:
    """Pictures of one pass through a file, seconds from its first one.

    Raises:
        SourceFailed: it cannot be opened or breaks off.
    """
    name = Path(path).name
    try:
        # A playlist in place of a film opens no connection.
        with av.open(f"file:{path}", options={"protocol_whitelist": "file"}) as container:
            yield from _pictures(container, name=name)
    except av.FFmpegError as error:
        raise SourceFailed(f"{name}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise SourceFailed(f"{name}: {error}") from error


def _rtsp_pictures(url: str, *, timeout_s: float) -> Iterator[Decoded]:
    """Pictures of one connection, seconds from its first one.

    Raises:
        SourceFailed: it cannot be made or breaks off.
    """
    begun, came = time.monotonic(), False
    try:
        with open_rtsp(url, timeout_s=timeout_s) as container:
            for item in _pictures(container, name=host_of(url)):
                came = True
                yield item
                begun = time.monotonic()
    except NameNotFound as error:
        raise SourceFailed(str(error)) from error
    except av.FFmpegError as error:
        silent_s = time.monotonic() - begun
        words = describe(error, url=url, came=came, silent_s=silent_s, timeout_s=timeout_s)
        raise SourceFailed(words) from error
    except (OSError, ValueError) as error:
        raise SourceFailed(f"{host_of(url)}: {type(error).__name__}") from error


def _pictures(container: InputContainer, *, name: str) -> Iterator[Decoded]:
    """Pictures of a container's first video, in order.

    Raises:
        SourceFailed: there is none.
    """
    if not container.streams.video:
        raise SourceFailed(f"{name}: no video")
    stream = container.streams.video[0]
    stream.thread_type = "NONE"  # one frame of delay per thread, and the pod has one
    first: float | None = None
    last_s, step_s = -math.inf, 1.0 / float(stream.average_rate or _FALLBACK_FPS)
    for packet in container.demux(stream):
        try:
            pictures = packet.decode()
        except av.InvalidDataError:
            continue  # a camera that is joined between two key frames, a scratch in a file
        for decoded in pictures:
            told: float | None = getattr(decoded, "time", None)  # typed without None
            first = told if first is None else first
            time_s = last_s + step_s if told is None or first is None else told - first
            time_s = max(time_s, last_s + 1e-3, 0.0)
            last_s = time_s
            yield time_s, decoded
