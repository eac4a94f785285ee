"""A drawn scene without an end: two people walk to and fro in front of a wall.

For trying a site without a camera. Somebody in red and somebody in blue cross in the middle.
"""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from podstream_workloads.tracking.edge.detectors.base import Picture

_SIZE = (320, 240)
_LAP_S = 24.0  # there, away, back, away


def drawn(*, fps: float) -> Iterator[tuple[float, Picture]]:
    """Seconds and pictures, at a steady rate, for ever."""
    rng = np.random.default_rng(1)
    coarse = rng.normal(140, 6, (_SIZE[1] // 4, _SIZE[0] // 4, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, _SIZE, interpolation=cv2.INTER_CUBIC)
    wall = np.clip(np.asarray(smooth), 0, 255).astype(np.uint8)
    index = 0
    while True:
        time_s = index / fps
        picture: Picture = wall.copy()
        _person(picture, _place(time_s), 196, colour=(40, 40, 190), phase=3.0 * time_s)
        _person(picture, _place(time_s + 13.0), 204, colour=(190, 80, 40), phase=3.0 * time_s + 1)
        yield time_s, picture
        index += 1


def _place(time_s: float) -> float:
    """Where somebody's middle is; outside of the picture for a third of the time."""
    part = (time_s % _LAP_S) / _LAP_S
    way = part * 2.0 if part < 0.5 else 2.0 - part * 2.0  # noqa: PLR2004 - halfway
    return -80.0 + way * (_SIZE[0] + 160.0)


def _person(
    picture: Picture, x: float, feet: int, *, colour: tuple[int, int, int], phase: float
) -> None:
    middle, swing = round(x), round(8 * math.sin(phase))
    for side in (1, -1):
        cv2.line(picture, (middle, feet - 36), (middle + side * swing, feet), (40, 40, 40), 10)
    cv2.line(picture, (middle, feet - 60), (middle, feet - 40), colour, 22)
    cv2.circle(picture, (middle, feet - 74), 8, (120, 150, 190), -1)
