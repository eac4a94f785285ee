"""Decodes a video into frames of the size that the session declares."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from podstream_workloads.stream.frames import Frame


class SourceError(Exception):
    """A source gives no frames; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame, and when it is to be shown."""

    frame: Frame
    seconds: float | None
    """On the video's own clock; `None` where it has none."""
    size: int
    """Bytes of the packet that completed it."""


class Scaler:
    """Turns decoded pictures into frames of one size; keeps its tables from one to the next."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._reformatter = VideoReformatter()

    def frame(self, picture: av.VideoFrame) -> Frame:
        """The picture in BGR, stretched to the size."""
        scaled = self._reformatter.reformat(
            picture,
            width=self._width,
            height=self._height,
            format="bgr24",
            interpolation=Interpolation.BILINEAR,
        )
        return np.asarray(scaled.to_ndarray(), dtype=np.uint8)


def video_of(container: InputContainer) -> VideoStream:
    """The first video.

    Raises:
        SourceError: there is none.
    """
    if not container.streams.video:
        raise SourceError("it has no video")
    return container.streams.video[0]


def frames_of(container: InputContainer, scaler: Scaler) -> Iterator[Decoded]:
    """Decode the first video to its end. Packets that cannot be decoded are left out.

    Raises:
        av.FFmpegError: nothing more can be read.
        SourceError: there is no video.
    """
    for packet in container.demux(video_of(container)):
        try:
            pictures = packet.decode()
        except av.InvalidDataError:
            continue  # a camera that is joined between two key frames, a scratch in a file
        for picture in pictures:
            if isinstance(picture, av.VideoFrame):
                yield Decoded(scaler.frame(picture), picture.time, packet.size)
