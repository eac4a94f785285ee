"""What the stages of the estimator hand to each other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from av import VideoFrame


class Plane(NamedTuple):
    """8-bit samples as the loops take them; `samples` is any object with the buffer protocol."""

    samples: Any
    stride: int
    """Bytes from row to row."""
    width: int
    height: int


class Blob(NamedTuple):
    """Connected cells of a grid: sums over their columns x and rows y, and bounds (inclusive)."""

    n: float
    sx: float
    sy: float
    sxx: float
    syy: float
    sxy: float
    left: int
    top: int
    right: int
    bottom: int
    label: int
    """Index of its first run."""

    @property
    def roundness(self) -> tuple[float, float]:
        """Area by that of the ellipse with the same second moments, and how circular that is.

        Both are 1 for a disc. A cell's own extent (1/12) counts into the moments.
        """
        x, y = self.sx / self.n, self.sy / self.n
        xx = self.sxx / self.n - x * x + 1 / 12
        yy = self.syy / self.n - y * y + 1 / 12
        xy = self.sxy / self.n - x * y
        det = max(xx * yy - xy * xy, 1e-9)
        return float(self.n / (12.566370614 * det**0.5)), 4 * det / (xx + yy) ** 2


class Disc(NamedTuple):
    """A disc in one plane, in that plane's pixels.

    The picture is `b' + (f - b') h`, with `b' = b + (gx dx + gy dy)/r` and the edge's profile h.
    """

    x: float
    y: float
    r: float
    w: float
    """Half-width of the edge."""
    f: float
    """Grey level inside."""
    b: float
    """Grey level outside, at the centre."""
    gx: float
    gy: float
    """The background's slope, grey levels per radius."""
    sd: float
    """Residual, grey levels."""
    rounds: int

    @property
    def contrast(self) -> float:
        """Inside minus outside, grey levels."""
        return self.f - self.b


class Start(NamedTuple):
    """Where a fit begins, luma pixels."""

    x: float
    y: float
    r: float
    w: float
    is_cut: bool
    """Whether the picture's border cuts the disc."""


class Ball(NamedTuple):
    """A disc that was accepted, luma pixels."""

    x: float
    y: float
    r: float
    w: float
    levels: tuple[float, ...]
    """Inside, per plane."""
    outside: tuple[float, ...]
    """Beside it, per plane."""


class Limits(NamedTuple):
    """What is known beforehand."""

    least_radius: float = 4
    most_radius: float = 500
    color: tuple[float, float, float] | None = None
    """Y, U, V of the disc, if known."""


Runs = bytes
"""32-bit numbers row, start, end (exclusive), label of every run of cells."""

_PLANAR = ("yuv420p", "yuvj420p")


def planes_of(frame: VideoFrame) -> Sequence[Plane]:
    """Y, U and V without a copy; other formats than planar 4:2:0 are converted first."""
    if frame.format.name not in _PLANAR:
        frame = frame.reformat(format="yuv420p")
    width, height = frame.width, frame.height
    luma, blue, red = frame.planes
    return (
        Plane(luma, luma.line_size, width, height),
        Plane(blue, blue.line_size, blue.width, blue.height),
        Plane(red, red.line_size, red.width, red.height),
    )
