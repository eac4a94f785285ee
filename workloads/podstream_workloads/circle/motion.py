"""The ball's law of motion, as the original ball tracker moves it.

After each frame `x += vx`; where that leaves [r, W - r] the sign flips and `x += 2 vx`, so that a
bounce lands one step inside the wall. The same for y with H. Positions are pixels, the centre of
the upper left pixel is (0, 0).
"""

import random
from dataclasses import dataclass

from podstream_core.api import Ball


@dataclass(frozen=True, slots=True)
class Law:
    """Where a ball starts and how it moves."""

    x: float
    y: float
    vx: float
    """Pixels per frame."""
    vy: float


def fixed_law(ball: Ball) -> Law:
    """The original's: from (r, r) towards the lower right."""
    return Law(ball.radius, ball.radius, ball.speed, ball.speed)


def random_law(ball: Ball, *, width: int, height: int, rng: random.Random) -> Law:
    """A start, two directions and two speeds (0.5-1.5 times `ball.speed`) that cannot be known."""

    def speed() -> float:
        return rng.choice((-1, 1)) * ball.speed * rng.uniform(0.5, 1.5)

    return Law(
        rng.uniform(ball.radius, width - ball.radius),
        rng.uniform(ball.radius, height - ball.radius),
        speed(),
        speed(),
    )


class Motion:
    """The ball's position frame by frame."""

    def __init__(self, law: Law, *, radius: int, width: int, height: int) -> None:
        self._law = law
        self._low = radius
        self._high_x = width - radius
        self._high_y = height - radius

    @property
    def position(self) -> tuple[float, float]:
        """The centre in the present frame, pixels."""
        return self._law.x, self._law.y

    def advance(self, frames: int = 1) -> None:
        """Move on by whole frames."""
        law = self._law
        x, y, vx, vy = law.x, law.y, law.vx, law.vy
        for _ in range(frames):
            x, vx = _bounce(x + vx, vx, self._low, self._high_x)
            y, vy = _bounce(y + vy, vy, self._low, self._high_y)
        self._law = Law(x, y, vx, vy)


def _bounce(value: float, step: float, low: float, high: float) -> tuple[float, float]:
    if low <= value <= high:
        return value, step
    # A step wider than the room itself must not carry the ball out on the other side.
    return min(max(value - 2 * step, low), high), -step
