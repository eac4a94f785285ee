"""Where the frames of a publisher come from: a pattern, a video file, a camera."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from podstream_workloads.stream.frames import CHANNELS, Frame

_DIGIT_SCALE: Final = 2.0
_WHITE: Final = (255, 255, 255)


class SourceError(Exception):
    """There are no frames; the message names cause and fix."""


def pattern(width: int, height: int) -> Iterator[Frame]:
    """A moving gradient with the frame's number in it, without end."""
    across = np.linspace(0, 255, width, dtype=np.uint8)
    down = np.linspace(0, 255, height, dtype=np.uint8)
    number = 0
    while True:
        frame = np.empty((height, width, CHANNELS), dtype=np.uint8)
        frame[..., 0] = np.roll(across, number * 4)
        frame[..., 1] = down[:, None]
        frame[..., 2] = np.roll(down, number * 2)[:, None]
        place = (width // 16, height // 2)
        cv2.putText(frame, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, _DIGIT_SCALE, _WHITE, 2)
        yield frame
        number += 1


def video(path: Path, width: int, height: int) -> Iterator[Frame]:
    """The pictures of a video file, scaled to the size.

    Raises:
        SourceError: the file is no video that can be read.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SourceError(f"{path} has no video: choose a file with a video stream")
            for picture in container.decode(video=0):
                scaled = picture.reformat(width=width, height=height, format="bgr24")
                yield np.ascontiguousarray(scaled.to_ndarray(), dtype=np.uint8)
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{path} cannot be read as video: {error}") from error


def camera(device: int, width: int, height: int) -> Iterator[Frame]:
    """Pictures of a camera of this machine, scaled to the size.

    Raises:
        SourceError: there is no such camera, or it gives no picture any more.
    """
    capture = cv2.VideoCapture(device)
    try:
        if not capture.isOpened():
            raise SourceError(f"camera {device} cannot be opened: ls /dev/video*, or use --file")
        while True:
            has_come, picture = capture.read()
            if not has_come:
                raise SourceError(f"camera {device} gives no picture any more")
            scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            yield np.asarray(scaled, dtype=np.uint8)
    finally:
        capture.release()
