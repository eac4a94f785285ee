"""Balls that can be told apart in a decoded picture: a session's ball is its nonce.

Ten colours and five radii make fifty balls. A frame tells which ball it shows, so a client that was
given another session's media sees another number than its own.
"""

import math
from typing import Any, Final

import numpy as np
from av import VideoFrame

_COLORS: Final = (
    (255, 0, 0),
    (0, 255, 0),
    (64, 64, 255),
    (255, 255, 0),
    (0, 255, 255),
    (255, 0, 255),
    (255, 255, 255),
    (255, 128, 0),
    (128, 255, 128),
    (160, 96, 255),
)
_RADII: Final = (8, 13, 18, 23, 28)
COUNT: Final = len(_COLORS) * len(_RADII)
_BRIGHT: Final = 96
"""Of 255 in the strongest channel: the picture's ground is black, colours reach 255."""


def ball(number: int) -> dict[str, Any]:
    """The ball with this number, as in `spec.circle.ball`."""
    color = _COLORS[number % len(_COLORS)]
    radius = _RADII[number // len(_COLORS)]
    return {"color": "#{:02x}{:02x}{:02x}".format(*color), "radius": radius, "speed": 1}


def number_of(frame: VideoFrame) -> int | None:
    """The number of the ball in a picture; `None` where there is none."""
    picture = frame.to_ndarray(format="rgb24").astype(np.float32)
    lit = picture.max(axis=2) > _BRIGHT
    area = int(lit.sum())
    if area < math.pi * _RADII[0] ** 2 / 2:
        return None
    seen = np.median(picture[lit], axis=0)
    colors = np.asarray(_COLORS, dtype=np.float32)
    color = int(np.argmin(((colors - seen) ** 2).sum(axis=1)))
    found = math.sqrt(area / math.pi)
    radius = min(range(len(_RADII)), key=lambda index: abs(_RADII[index] - found))
    return radius * len(_COLORS) + color
