"""Frames of a file, a network stream or a device, as many a second as are wanted."""

import time
from pathlib import Path
from typing import Any, Final

import cv2

_FALLBACK_FPS: Final = 30.0
"""Where a source does not say: webcams and some streams."""
_MOST_FPS: Final = 240.0


class VideoUnopenable(Exception):
    """There is no video there."""


def find(camera: str) -> str:
    """What OpenCV opens: the path itself or a URL, else `camera_set/<path>` as it used to be."""
    if "://" in camera or camera.isdigit() or Path(camera).exists():
        return camera
    beside = Path("camera_set") / camera
    return str(beside) if beside.exists() else camera


class Video:
    """One open video. Every method blocks: call them in a thread."""

    def __init__(self, camera: str) -> None:
        """Open it.

        Raises:
            VideoUnopenable: missing, unreadable, or no video.
        """
        place = find(camera)
        self.live = "://" in place or place.isdigit()
        self._place = place
        self._capture = self._opened()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= _MOST_FPS else _FALLBACK_FPS
        self.number = 0
        """Of the frame read last, from 1; goes on counting when the video is rewound."""

    @property
    def stem(self) -> str:
        """The name that frame names begin with."""
        return Path(self._place.split("?")[0].rstrip("/")).stem or "camera"

    def skip(self, frames: int) -> bool:
        """Pass over frames without decoding them; false at the end."""
        for _ in range(frames):
            if not self._capture.grab():
                return False
            self.number += 1
        return True

    def skip_for(self, seconds: float) -> bool:
        """Pass over what a live source has to offer for so long: its newest frame comes next."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.skip(1):
                return False
        return True

    def read(self) -> Any | None:
        """The next frame, BGR; `None` at the end."""
        there, frame = self._capture.read()
        if not there:
            return None
        self.number += 1
        return frame

    def rewind(self) -> None:
        """Begin again.

        Raises:
            VideoUnopenable: it is gone.
        """
        self._capture.release()
        self._capture = self._opened()

    def close(self) -> None:
        """Let the source go."""
        self._capture.release()

    def _opened(self) -> Any:
        place: str | int = int(self._place) if self._place.isdigit() else self._place
        capture = cv2.VideoCapture(place)
        if not capture.isOpened():
            capture.release()
            raise VideoUnopenable(f"Video cannot be opened: {self._place}")
        return capture
