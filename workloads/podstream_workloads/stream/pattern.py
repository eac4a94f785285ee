"""A moving test pattern, whose every frame differs from all others."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from podstream_workloads.stream.frames import CHANNELS, Frame

_DIGIT_SCALE: Final = 2.0
_WHITE: Final = (255, 255, 255)


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
