"""The operations of a chain as frozen values, with their bounds.

Angles are counter-clockwise throughout, as in the `Rotation` of the compatible service.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_SIDE: Final = 65_535
"""Pixels; a side that no supported file format but TIFF and PNG can exceed."""
MAX_KERNEL: Final = 255
MAX_OPERATIONS: Final = 64
"""Operations in one chain."""

Side = Annotated[int, Meta(ge=0, le=MAX_SIDE)]
KernelSide = Annotated[int, Meta(ge=1, le=MAX_KERNEL)]


class Turn(StrEnum):
    """Quarter turns, counter-clockwise."""

    NONE = "None"
    NINETY = "Ninety"
    ONE_EIGHTY = "OneEighty"
    TWO_SEVENTY = "TwoSeventy"

    @property
    def quarters(self) -> int:
        """Number of quarter turns, 0 to 3."""
        return list(Turn).index(self)


class Border(StrEnum):
    """What a window sees beyond the edge of the picture."""

    EXISTING = "Existing"
    """Nothing: only existing pixels count, the mean is floor(sum / number of them)."""
    REFLECT_101 = "Reflect101"
    """dcb|abcd|cba."""
    REFLECT = "Reflect"
    """cba|abcd|dcb."""
    REPLICATE = "Replicate"
    """aaa|abcd|ddd."""
    CONSTANT = "Constant"
    """Zeros, which count."""


class Interpolation(StrEnum):
    """How pixels between pixels are made."""

    NEAREST = "Nearest"
    LINEAR = "Linear"
    CUBIC = "Cubic"
    AREA = "Area"
    """Mean over the covered area: the right one for making pictures smaller."""
    LANCZOS = "Lanczos"


class Space(StrEnum):
    """Meaning of a picture's channels."""

    GRAY = "Gray"
    RGB = "Rgb"
    BGR = "Bgr"
    HSV = "Hsv"
    LAB = "Lab"
    YCRCB = "YCrCb"

    @property
    def channels(self) -> int:
        """Values a pixel has."""
        return 1 if self is Space.GRAY else 3


class _Value(msgspec.Struct, frozen=True, kw_only=True, tag_field="op"):
    """Base of the operations; the tag goes with each through the worker's wire."""


class QuarterTurn(_Value, frozen=True, kw_only=True, tag="turn"):
    """Turn by a multiple of 90 degrees, without loss."""

    turn: Turn


class RotateDegrees(_Value, frozen=True, kw_only=True, tag="rotate"):
    """Turn by any angle; the canvas grows to hold the whole picture, corners get `fill`."""

    degrees: Annotated[float, Meta(ge=-36_000, le=36_000)]
    """Counter-clockwise. Multiples of 90 are turned without loss."""
    interpolation: Interpolation = Interpolation.LINEAR
    fill: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Value of every channel outside the picture."""


class Mean(_Value, frozen=True, kw_only=True, tag="mean"):
    """Mean over a window of odd sides; 3x3 over existing neighbours is `MeanFilter`."""

    width: KernelSide = 3
    height: KernelSide = 3
    border: Border = Border.EXISTING


class Gaussian(_Value, frozen=True, kw_only=True, tag="gaussian"):
    """Gaussian blur."""

    sigma: Annotated[float, Meta(gt=0, le=40)]
    """Standard deviation in pixels, both axes."""
    border: Border = Border.REFLECT_101


class Resize(_Value, frozen=True, kw_only=True, tag="resize"):
    """Change the size; one side may be 0, which keeps the aspect ratio."""

    width: Side = 0
    height: Side = 0
    interpolation: Interpolation = Interpolation.AREA


class Crop(_Value, frozen=True, kw_only=True, tag="crop"):
    """Cut out a rectangle that lies inside the picture."""

    x: Side = 0
    y: Side = 0
    width: Side
    height: Side


class Flip(_Value, frozen=True, kw_only=True, tag="flip"):
    """Mirror: left with right, top with bottom, or both."""

    horizontal: bool = False
    vertical: bool = False


class Gray(_Value, frozen=True, kw_only=True, tag="gray"):
    """One channel: luma by ITU-R BT.601."""


class Convert(_Value, frozen=True, kw_only=True, tag="convert"):
    """Another meaning of the channels."""

    space: Space


Operation = QuarterTurn | RotateDegrees | Mean | Gaussian | Resize | Crop | Flip | Gray | Convert


def name_of(operation: Operation) -> str:
    """The operation's tag, as in status and progress messages."""
    return str(operation.__struct_config__.tag)
