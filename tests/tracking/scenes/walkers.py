"""Rendered scenes with truth: people who walk before a still camera, at 320x240.

Truth is a rectangle per visible person and frame; somebody who is less than 40 % inside the
picture is not counted, and neither is one of whom nothing else can be seen.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from podstream_workloads.tracking.edge.detectors.base import Picture, Rect
from podstream_workloads.tracking.edge.latest import Frame

WIDTH, HEIGHT = 320, 240
Colour = tuple[int, int, int]
Key = tuple[float, float, float]
"""Second, x of the middle, y of the feet."""

RED, GREEN, BLUE = (40, 40, 190), (60, 160, 50), (190, 80, 40)
YELLOW, WHITE, BLACK = (50, 190, 210), (225, 225, 225), (35, 35, 35)
BROWN, PURPLE, TEAL = (40, 70, 110), (150, 50, 130), (140, 150, 30)


@dataclass(frozen=True)
class Walker:
    """One person: where they are when, and what they wear."""

    identity: int
    visits: tuple[tuple[Key, ...], ...]
    """Each a polyline through (second, x, y); away between them."""
    torso: Colour = RED
    legs: Colour = BLACK
    head: Colour = (120, 150, 190)
    height: float = 80.0

    def at(self, time_s: float) -> tuple[float, float] | None:
        for keys in self.visits:
            if keys[0][0] <= time_s <= keys[-1][0]:
                times = [key[0] for key in keys]
                x = float(np.interp(time_s, times, [key[1] for key in keys]))
                return x, float(np.interp(time_s, times, [key[2] for key in keys]))
        return None

    def rect(self, time_s: float) -> Rect | None:
        if (place := self.at(time_s)) is None:
            return None
        x, y = place
        half = 0.19 * self.height
        return x - half, y - self.height, x + half, y


def across(start_s: float, end_s: float, *, y: float = 200, back: bool = False) -> tuple[Key, ...]:
    """From one side of the picture to the other."""
    left, right = (start_s, -20.0, y), (end_s, WIDTH + 20.0, y)
    if back:
        return (start_s, right[1], y), (end_s, left[1], y)
    return left, right


@dataclass(frozen=True)
class Scene:
    """Some seconds of one camera."""

    walkers: tuple[Walker, ...]
    seconds: float
    fps: float = 10.0
    light: Callable[[float], tuple[float, float, float]] = field(default=lambda _: (1.0, 1.0, 1.0))
    """Gain of blue, green, red at a second."""
    noise: float = 3.0
    seed: int = 1

    @property
    def frames(self) -> int:
        return int(self.seconds * self.fps)

    def truth(self, time_s: float) -> dict[int, Rect]:
        """Rectangles by person."""
        present = [(w.rect(time_s), w.identity) for w in self.walkers]
        return {who: inside for rect, who in present if rect and (inside := _inside(rect))}

    def render(self) -> Iterator[tuple[Frame, dict[int, Rect]]]:
        rng = np.random.default_rng(self.seed)
        grain = rng.normal(0, self.noise, (8, HEIGHT, WIDTH, 3)).astype(np.float32)
        for index in range(self.frames):
            time_s = index / self.fps
            picture = _room().copy()
            standing = [(w, place) for w in self.walkers if (place := w.at(time_s))]
            for walker, place in sorted(standing, key=lambda item: item[1][1]):
                draw(picture, walker, place, phase=place[0] / 9.0)
            lit = picture.astype(np.float32) * np.array(self.light(time_s), np.float32)
            lit += grain[int(rng.integers(8))]
            image: Picture = np.clip(lit, 0, 255).astype(np.uint8)
            yield Frame(image, time_s, index), self.truth(time_s)


def _inside(rect: Rect) -> Rect | None:
    x1, x2 = max(rect[0], 0.0), min(rect[2], float(WIDTH))
    y1, y2 = max(rect[1], 0.0), min(rect[3], float(HEIGHT))
    seen = max(0.0, x2 - x1) * max(0.0, y2 - y1)
    whole = (rect[2] - rect[0]) * (rect[3] - rect[1])
    return (x1, y1, x2, y2) if seen >= 0.4 * whole else None


@lru_cache(maxsize=1)
def _room() -> Picture:
    """A textured wall and floor, with a door and a shelf."""
    rng = np.random.default_rng(7)
    plain = np.empty((HEIGHT, WIDTH, 3), np.float32)
    plain[:150], plain[150:] = (150, 160, 158), (95, 110, 122)
    coarse = rng.integers(-14, 15, (24, 32, 3)).astype(np.float32)
    texture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    room: Picture = np.clip(plain + texture, 0, 255).astype(np.uint8)
    cv2.rectangle(room, (30, 60), (70, 150), (70, 95, 120), -1)
    cv2.rectangle(room, (220, 40), (300, 48), (60, 70, 80), -1)
    cv2.rectangle(room, (230, 20), (240, 40), (60, 60, 150), -1)
    cv2.rectangle(room, (255, 15), (270, 40), (140, 90, 40), -1)
    return room


def draw(picture: Picture, walker: Walker, place: tuple[float, float], *, phase: float) -> None:
    """Paint one person into a picture, feet at `place`."""
    x, y = place
    tall = walker.height
    swing = 0.10 * tall * math.sin(phase)
    hip = (x, y - 0.45 * tall)
    for side in (1, -1):
        foot = (x + side * swing, y)
        _limb(picture, hip, foot, round(0.13 * tall), walker.legs)
    _limb(picture, (x, y - 0.74 * tall), (x, y - 0.50 * tall), round(0.28 * tall), walker.torso)
    _limb(
        picture,
        (x, y - 0.74 * tall),
        (x + 0.6 * swing, y - 0.45 * tall),
        round(0.09 * tall),
        _shade(walker.torso),
    )
    cv2.ellipse(
        picture,
        (round(x), round(y - 0.91 * tall)),
        (round(0.075 * tall), round(0.09 * tall)),
        0,
        0,
        360,
        walker.head,
        -1,
        cv2.LINE_AA,
    )


def _shade(colour: Colour) -> Colour:
    return colour[0] * 4 // 5, colour[1] * 4 // 5, colour[2] * 4 // 5


def _limb(
    picture: Picture, a: tuple[float, float], b: tuple[float, float], thick: int, colour: Colour
) -> None:
    start, end = (round(a[0]), round(a[1])), (round(b[0]), round(b[1]))
    cv2.line(picture, start, end, colour, max(1, thick), cv2.LINE_AA)
