"""Which colour the ball has."""

import colorsys
import random

from podstream_core.api import Ball
from podstream_workloads.circle.draw import YuvColor

_MIN_LUMA = 110
"""Least luma of a drawn colour: black has 16, so the ball stands out by 94 levels or more."""

ORIGINAL_GREEN = "#00ff00"


def ball_color(ball: Ball, *, rng: random.Random) -> YuvColor:
    """The spec's colour, else pure green for fixed motion, else a bright one drawn at random."""
    if ball.color is not None:
        return YuvColor.from_hex(ball.color)
    if ball.motion == "Fixed":
        return YuvColor.from_hex(ORIGINAL_GREEN)
    while True:
        rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 1.0), rng.uniform(0.7, 1.0))
        color = YuvColor.from_rgb(*(round(255 * part) for part in rgb))
        if color.y >= _MIN_LUMA:
            return color
