"""Videos that tests open again, and pictures that survive compression."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from podstream_workloads.stream.frames import Frame


@dataclass(frozen=True)
class Video:
    """What a player finds in a file."""

    format: str
    codec: str
    tag: str
    width: int
    height: int
    frames: int
    """As decoded."""
    counted: int
    """As the index says; 0 where there is none."""
    fps: float
    seconds: float
    levels: tuple[int, ...]
    """Mean gray of each frame."""


def open_video(path: Path) -> Video:
    container: Any
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        levels = tuple(
            round(float(picture.to_ndarray(format="rgb24").mean()))
            for picture in container.decode(stream)
        )
        return Video(
            format=container.format.name,
            codec=stream.codec_context.name,
            tag=stream.codec_context.codec_tag,
            width=stream.width,
            height=stream.height,
            frames=len(levels),
            counted=stream.frames,
            fps=float(stream.average_rate or 0),
            seconds=(container.duration or 0) / 1e6,
            levels=levels,
        )


def steps(width: int, height: int, count: int) -> Iterator[Frame]:
    """Gray frames whose levels differ from their neighbours' by far more than a codec adds."""
    for number in range(count):
        yield np.full((height, width, 3), level(number), np.uint8)


def level(number: int) -> int:
    return 16 + number * 37 % 200
