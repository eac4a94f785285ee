"""Finds out whether raw pictures have the width that was declared.

The stream names no size, so a camera with another one shears every picture and no byte tells. But
rows of a picture resemble their neighbours: the bytes one true row apart differ little, those of
any other distance differ more. The mean absolute difference over the distance is the average
magnitude difference function that pitch detectors use (Ross et al., "Average magnitude difference
function pitch extractor", IEEE Trans. ASSP 22(5), 1974), here with a period of one row.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Final

import numpy as np

from podstream_workloads.stream.frames import CHANNELS, Frame

COMMON_WIDTHS: Final = (160, 176, 320, 352, 424, 640, 704, 720, 800, 848, 864, 960, 1024, 1280)
LARGE_WIDTHS: Final = (1440, 1600, 1920, 2560, 3840)
_SAMPLES: Final = 20_000
_CLEARLY: Final = 2.0
"""A row's distance must fit this many times better than others do: noise fits everywhere alike."""
_NEARLY: Final = 1.3
"""Multiples of the true width fit nearly as well: they compare every second or third row."""
_FLAT: Final = 1.0
"""Gray levels; below this a picture has no rows to compare."""


def suspected_width(frame: Frame, *, widths: Sequence[int] = COMMON_WIDTHS + LARGE_WIDTHS) -> int:
    """The width that a picture's bytes speak for: the declared one, or one that fits far better.

    Args:
        frame: bytes as they came, in the declared shape.
        widths: other widths to consider, pixels.
    """
    declared: int = frame.shape[1]
    data = frame.reshape(-1)
    fits = {width: _difference(data, width) for width in {declared, *widths}}
    best = min(fits.values())
    usual = statistics.median(value for value in fits.values() if value < math.inf)
    if usual < _FLAT or best * _CLEARLY > usual:
        return declared
    width = min(width for width, value in fits.items() if value <= best * _NEARLY)
    is_worse = fits[declared] > best * _CLEARLY
    return width if is_worse or declared % width == 0 else declared


def _difference(data: np.ndarray[tuple[int], np.dtype[np.uint8]], width: int) -> float:
    """Mean absolute difference of bytes one row apart; infinite where there is no second row."""
    distance = width * CHANNELS
    count = len(data) - distance
    if count <= 0:
        return math.inf
    # Whole stretches of bytes, spread over the picture, so that few cache lines are touched.
    stretch = 256
    starts = np.linspace(0, max(count - stretch, 0), num=max(_SAMPLES // stretch, 1)).astype(int)
    places = (starts[:, None] + np.arange(min(stretch, count))).reshape(-1)
    near = data[places].astype(np.int16)
    far = data[places + distance].astype(np.int16)
    return float(np.abs(near - far).mean())
