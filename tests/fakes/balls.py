"""Pictures with a ball of known place, for estimators and encoders: planar, any background, noise.

Unlike `circle.draw`, which makes what a session streams, these scenes have slopes, noise, motion
blur and balls that differ in hue only. Coverage is exact to 1/64, by sampling.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from av import VideoFrame

Yuv = tuple[float, float, float]
_SAMPLES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How the pictures look; grey levels and pixels."""

    width: int = 640
    height: int = 480
    radius: float = 40
    color: Yuv = (145, 54, 34)
    background: Yuv = (16, 128, 128)
    slope: float = 0
    """Rise of the background's luma from the left border to the right one."""
    noise: float = 0
    """Standard deviation of white noise in every plane."""
    shutter: float = 0
    """Share of the frame interval during which the ball is exposed."""
    speed: tuple[float, float] = (5.3, 3.7)
    """Pixels per frame."""


def render(scene: Scene, x: float, y: float, *, rng: np.random.Generator) -> VideoFrame:
    """One picture with the ball's (mean) centre at (x, y)."""
    frame = VideoFrame(scene.width, scene.height, "yuv420p")
    across = np.linspace(0, scene.slope, scene.width) - scene.slope / 2
    luma = np.broadcast_to(scene.background[0] + across, (scene.height, scene.width)).copy()
    half = (scene.height // 2, scene.width // 2)
    planes = [
        luma,
        np.full(half, float(scene.background[1])),
        np.full(half, float(scene.background[2])),
    ]
    cover = _exposed(scene, x, y)
    coarse = cover.reshape(half[0], 2, half[1], 2).mean(axis=(1, 3))
    for index, (plane, part) in enumerate(zip(planes, (cover, coarse, coarse), strict=True)):
        shown = plane + (scene.color[index] - plane) * part
        if scene.noise:
            shown = shown + rng.normal(0, scene.noise, plane.shape)
        target = frame.planes[index]
        pixels = np.frombuffer(target, np.uint8)  # type: ignore[call-overload]
        view = pixels.reshape(-1, target.line_size)[: plane.shape[0], : plane.shape[1]]
        view[:] = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return frame


def _exposed(scene: Scene, x: float, y: float) -> np.ndarray:
    steps = 1 if not scene.shutter else 9
    cover = np.zeros((scene.height, scene.width))
    for step in range(steps):
        ahead = scene.shutter * ((step + 0.5) / steps - 0.5)
        cover += _cover(scene, x + ahead * scene.speed[0], y + ahead * scene.speed[1])
    return cover / steps


def _cover(scene: Scene, x: float, y: float) -> np.ndarray:
    """Share of each pixel that the disc covers."""
    cover = np.zeros((scene.height, scene.width))
    reach = scene.radius + 2
    left, right = max(0, math.floor(x - reach)), min(scene.width, math.ceil(x + reach))
    top, bottom = max(0, math.floor(y - reach)), min(scene.height, math.ceil(y + reach))
    if left >= right or top >= bottom:
        return cover
    part = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    columns = (np.arange(left, right)[:, None] + part).ravel() - x
    rows = (np.arange(top, bottom)[:, None] + part).ravel() - y
    inside = rows[:, None] ** 2 + columns[None, :] ** 2 < scene.radius**2
    box = inside.reshape(bottom - top, _SAMPLES, right - left, _SAMPLES).mean(axis=(1, 3))
    cover[top:bottom, left:right] = box
    return cover


def path(scene: Scene, frames: int, *, seed: int) -> Iterator[tuple[float, float]]:
    """Places of a ball that bounces off the borders."""
    rng = np.random.default_rng(seed)
    room = (scene.width - 1 - 2 * scene.radius, scene.height - 1 - 2 * scene.radius)
    place = [float(rng.uniform(0, side)) for side in room]
    for frame in range(frames):
        yield (
            scene.radius + _folded(place[0] + frame * scene.speed[0], room[0]),
            scene.radius + _folded(place[1] + frame * scene.speed[1], room[1]),
        )


def _folded(value: float, room: float) -> float:
    """Reflect a place at 0 and at `room`."""
    value %= 2 * room
    return min(value, 2 * room - value)


def polygon(scene: Scene, corners: int, x: float, y: float, *, turn: float = 0.2) -> VideoFrame:
    """A regular polygon in the ball's place: no disc."""
    height, width = scene.height, scene.width
    rows, columns = np.mgrid[0:height, 0:width]
    inside = np.ones((height, width), bool)
    for corner in range(corners):
        angle = turn + 2 * math.pi * corner / corners
        reach = scene.radius * math.cos(math.pi / corners)
        inside &= (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle) <= reach
    return from_mask(scene, inside)


def from_mask(scene: Scene, inside: np.ndarray) -> VideoFrame:
    """The ball's colour where the mask says so."""
    frame = render(replace(scene, radius=0.01), -100, -100, rng=np.random.default_rng(0))
    masks = (inside, inside[::2, ::2], inside[::2, ::2])
    for target, mask, level in zip(frame.planes, masks, scene.color, strict=True):
        pixels = np.frombuffer(target, np.uint8)  # type: ignore[call-overload]
        view = pixels.reshape(-1, target.line_size)[: mask.shape[0], : mask.shape[1]]
        view[mask] = round(level)
    return frame


Finder = Callable[[VideoFrame], tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Errors:
    """How well places were found: two-dimensional RMSE over hits, and misses."""

    rmse: float
    missed: int
    frames: int


def errors(pairs: list[tuple[tuple[float, float], tuple[float, float] | None]]) -> Errors:
    """Compare truth and estimate; no estimate, or one that is off by over 10 px, is a miss."""
    squares = [
        (found[0] - true[0]) ** 2 + (found[1] - true[1]) ** 2
        for true, found in pairs
        if found is not None
    ]
    hits = [square for square in squares if square <= 100]
    rmse = math.sqrt(sum(hits) / len(hits)) if hits else math.nan
    return Errors(rmse, len(pairs) - len(hits), len(pairs))
