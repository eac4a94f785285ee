"""Draws the ball straight into the planes of a yuv420p picture, antialiased, at sub-pixel places.

A pixel at the edge gets the share of its area that the disc covers (see `coverage`): a ramp over
the distance alone would move the centre that can be measured by 0.0025 px, more than H264 does.
Chroma samples lie between two luma columns and rows and take the mean of their four luma pixels'
coverage. Only the box around the ball is touched, and the box of the frame before is wiped.
"""

import math
from dataclasses import dataclass

import numpy as np
from av import VideoFrame

from podstream_workloads.circle import framecode

Box = tuple[int, int, int, int]
"""Left, top, right, bottom (exclusive); even numbers."""


@dataclass(frozen=True, slots=True)
class YuvColor:
    """A colour in BT.601, limited range."""

    y: int
    u: int
    v: int

    @classmethod
    def from_rgb(cls, red: int, green: int, blue: int) -> "YuvColor":
        """Convert 8-bit RGB (ITU-R BT.601-7, section 2.5)."""
        return cls(
            round(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255),
            round(128 + (-37.797 * red - 74.203 * green + 112 * blue) / 255),
            round(128 + (112 * red - 93.786 * green - 18.214 * blue) / 255),
        )

    @classmethod
    def from_hex(cls, text: str) -> "YuvColor":
        """Convert `#rrggbb`."""
        value = int(text[1:], 16)
        return cls.from_rgb(value >> 16, value >> 8 & 255, value & 255)


BLACK = YuvColor.from_rgb(0, 0, 0)
_EDGE = 0.75
"""Pixels whose centre is farther from the edge than half of their diagonal are all in or all out;
the bend is within what is left."""


class Canvas:
    """Black pictures of one size with one ball each.

    Two pictures take turns: the encoder may still read the one while the next is drawn.
    """

    def __init__(self, *, width: int, height: int, radius: int, color: YuvColor) -> None:
        self._width = width
        self._height = height
        self._radius = radius
        self._color = color
        self._pictures = [_Picture(width, height) for _ in range(2)]
        self._turn = 0

    def draw(self, x: float, y: float, *, number: int | None = None) -> VideoFrame:
        """A picture with the ball's centre at (x, y), pixels, and the frame's number over it."""
        picture = self._pictures[self._turn]
        self._turn = 1 - self._turn
        picture.wipe()
        box = self._box(x, y)
        left, top, right, bottom = box
        columns = (np.arange(left, right) - x).astype(np.float32)
        rows = (np.arange(top, bottom) - y).astype(np.float32)
        picture.blend(box, coverage(rows, columns, self._radius), self._color)
        if number is not None:
            picture.stamp(framecode.blocks(number))
        return picture.frame

    def _box(self, x: float, y: float) -> Box:
        reach = self._radius + 1
        return (
            max(0, math.floor(x - reach)) & ~1,
            max(0, math.floor(y - reach)) & ~1,
            min(self._width, (math.ceil(x + reach) + 2) & ~1),
            min(self._height, (math.ceil(y + reach) + 2) & ~1),
        )


def coverage(rows: np.ndarray, columns: np.ndarray, radius: float) -> np.ndarray:
    """Share of each pixel that a disc around (0, 0) covers.

    At the edge the disc is taken for a half-plane. With p and q the larger and the smaller part of
    its unit normal and u the distance from its border to the pixel's centre, the covered area of a
    unit square is 1/2 + u/p where the border cuts two opposite sides, |u| <= (p - q)/2, and lacks
    z²/(2pq) of a full (or empty) one where it cuts a corner off, z = (p + q)/2 - |u|. The border's
    bend takes 1/(24 d) from u, d the pixel's distance from the centre. Within 0.01 of the true
    area, and without a preference for any side.

    Args:
        rows: pixel centres from top to bottom, relative to the disc's.
        columns: the same from left to right.
        radius: pixels, at least 4.
    """
    squares = (rows * rows)[:, None] + (columns * columns)[None, :] - np.float32(radius * radius)
    covered: np.ndarray = (squares < 0).astype(np.float32)
    at = np.nonzero(np.abs(squares) < _EDGE * (2 * radius + _EDGE))
    d = np.sqrt(squares[at] + np.float32(radius * radius))
    across, down = np.abs(columns[at[1]]) / d, np.abs(rows[at[0]]) / d
    p = np.maximum(across, down)
    q = np.minimum(across, down) + np.float32(1e-4)  # not 0: it is divided by
    u = radius - d - 1 / (24 * d)
    side = 0.5 - np.maximum(0, (p + q) / 2 - np.abs(u)) ** 2 / (2 * p * q)
    covered[at] = 0.5 + np.where(np.abs(u) < (p - q) / 2, u / p, np.sign(u) * side)
    return covered


class _Picture:
    def __init__(self, width: int, height: int) -> None:
        self.frame = VideoFrame(width, height, "yuv420p")
        self._planes = [
            _plane_view(self.frame, index, width >> shift, height >> shift)
            for index, shift in ((0, 0), (1, 1), (2, 1))
        ]
        self._dirty: Box = (0, 0, width, height)

    def wipe(self) -> None:
        left, top, right, bottom = self._dirty
        luma, blue, red = self._planes
        luma[top:bottom, left:right] = BLACK.y
        half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
        blue[half] = BLACK.u
        red[half] = BLACK.v

    def blend(self, box: Box, coverage: np.ndarray, color: YuvColor) -> None:
        left, top, right, bottom = box
        luma, blue, red = self._planes
        luma[top:bottom, left:right] = _mix(BLACK.y, color.y, coverage)
        quarter = (
            coverage[::2, ::2] + coverage[1::2, ::2] + coverage[::2, 1::2] + coverage[1::2, 1::2]
        ) / 4
        half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
        blue[half] = _mix(BLACK.u, color.u, quarter)
        red[half] = _mix(BLACK.v, color.v, quarter)
        self._dirty = box

    def stamp(self, code: np.ndarray) -> None:
        """Put a code into the upper left corner."""
        height, width = code.shape
        luma, blue, red = self._planes
        luma[:height, :width] = code
        blue[: height // 2, : width // 2] = BLACK.u
        red[: height // 2, : width // 2] = BLACK.v


def _mix(background: int, foreground: int, coverage: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = np.rint(background + (foreground - background) * coverage)
    return mixed


def _plane_view(frame: VideoFrame, index: int, width: int, height: int) -> np.ndarray:
    plane = frame.planes[index]
    pixels = np.frombuffer(plane, dtype=np.uint8)  # type: ignore[call-overload]
    view: np.ndarray = pixels.reshape(-1, plane.line_size)[:height, :width]
    return view
