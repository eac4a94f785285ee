"""Where the frames of a publisher come from: a video file, a camera."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from podstream_workloads.stream.frames import Frame


class SourceError(Exception):
    """There are no frames; the message names cause and fix."""


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
