"""What a chain will need, decided before a pixel is touched: sizes, memory, refusals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from podstream_workloads.imageops.operations.values import (
    MAX_OPERATIONS,
    MAX_SIDE,
    Border,
    Convert,
    Crop,
    Flip,
    Gaussian,
    Gray,
    Mean,
    Operation,
    QuarterTurn,
    Resize,
    RotateDegrees,
    Space,
)

MAX_WARP_SIDE: Final = 32_766
"""OpenCV's warps keep coordinates in 16 bits (SHRT_MAX, exclusive)."""
_EIGHT_BIT_SPACES: Final = (Space.HSV, Space.LAB)
_QUARTER_DEGREES: Final = 90


class ChainError(ValueError):
    """The chain cannot be applied to the picture; the message says which step and why."""


class TooLarge(ChainError):
    """A step would need more than the budget."""


class TooManyPixels(TooLarge):
    """A picture has more pixels than are allowed."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Form of a picture."""

    width: int
    height: int
    space: Space
    bytes_per_value: int = 1
    """1: uint8, 2: uint16."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def size(self) -> int:
        """Bytes without padding."""
        return self.pixels * self.space.channels * self.bytes_per_value

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.space.value}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will come out, and the most memory that pixels take on the way."""

    shape: Shape
    peak_bytes: int


def quarter_turns(degrees: float) -> int | None:
    """Number of counter-clockwise quarter turns, 0 to 3; `None` for another angle."""
    turns, rest = divmod(degrees, _QUARTER_DEGREES)
    return int(turns) % 4 if rest == 0 else None


def plan_chain(operations: Sequence[Operation], *, shape: Shape, max_pixels: int) -> Plan:
    """Follow a chain's sizes from step to step.

    Args:
        operations: in the order in which they are applied.
        shape: of the picture that they are applied to.
        max_pixels: no picture on the way may have more.

    Raises:
        ChainError: a step does not fit the picture that it gets.
        TooLarge: a picture on the way is above `max_pixels`.
    """
    if len(operations) > MAX_OPERATIONS:
        raise ChainError(f"a chain has at most {MAX_OPERATIONS} operations, not {len(operations)}")
    peak = shape.size
    for index, operation in enumerate(operations):
        try:
            after, extra = _step(operation, shape)
        except ChainError as error:
            raise type(error)(f"operation {index + 1}: {error}") from None
        if not 0 < after.width <= MAX_SIDE or not 0 < after.height <= MAX_SIDE:
            raise TooLarge(f"operation {index + 1} would give {after}: sides are 1 to {MAX_SIDE}")
        if after.pixels > max_pixels:
            raise TooManyPixels(
                f"operation {index + 1} would give {after}: at most {max_pixels} pixels are allowed"
            )
        peak = max(peak, shape.size + after.size + extra)
        shape = after
    return Plan(shape, peak)


def shapes_of(operations: Sequence[Operation], *, shape: Shape) -> list[Shape]:
    """The shapes after each operation of a chain that `plan_chain` has let through."""
    shapes = []
    for operation in operations:
        shape, _ = _step(operation, shape)
        shapes.append(shape)
    return shapes


def resized(operation: Resize, *, width: int, height: int) -> tuple[int, int]:
    """The width and height that a resize gives; a side of 0 follows the other one."""
    if not operation.width and not operation.height:
        raise ChainError("resize needs a width or a height")
    new_width = operation.width or max(1, round(width * operation.height / height))
    new_height = operation.height or max(1, round(height * operation.width / width))
    return new_width, new_height


def rotated(degrees: float, *, width: int, height: int) -> tuple[int, int]:
    """Smallest canvas that holds the turned picture, for other than quarter turns."""
    angle = math.radians(degrees)
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    # Rounded before the ceiling, or 1e-12 of error in the sine would add a column.
    new_width = math.ceil(round(width * cosine + height * sine, 6))
    new_height = math.ceil(round(width * sine + height * cosine, 6))
    return max(1, new_width), max(1, new_height)


def _step(operation: Operation, shape: Shape) -> tuple[Shape, int]:
    """Shape after one operation, and bytes that it needs beside input and output."""
    match operation:
        case QuarterTurn(turn=turn):
            return _turned(shape, turn.quarters), 0
        case RotateDegrees():
            return _rotate(operation, shape), 0
        case Mean():
            return _mean(operation, shape)
        case Gaussian(border=border):
            if border is Border.EXISTING:
                raise ChainError("gaussian has no border Existing: take Reflect101")
            return shape, 0
        case Resize():
            width, height = resized(operation, width=shape.width, height=shape.height)
            return replace(shape, width=width, height=height), 0
        case Crop():
            return _crop(operation, shape), 0
        case Flip():
            return shape, 0
        case Gray():
            if shape.space not in (Space.GRAY, Space.RGB, Space.BGR):
                raise ChainError(f"gray needs Rgb, Bgr or Gray, not {shape.space.value}")
            return replace(shape, space=Space.GRAY), 0
        case Convert(space=space):
            return _convert(space, shape)


def _turned(shape: Shape, quarters: int) -> Shape:
    if quarters % 2 == 0:
        return shape
    return replace(shape, width=shape.height, height=shape.width)


def _rotate(operation: RotateDegrees, shape: Shape) -> Shape:
    quarters = quarter_turns(operation.degrees)
    if quarters is not None:
        return _turned(shape, quarters)
    width, height = rotated(operation.degrees, width=shape.width, height=shape.height)
    if max(width, height, shape.width, shape.height) > MAX_WARP_SIDE:
        raise TooLarge(
            f"rotate by other than quarter turns takes sides of at most {MAX_WARP_SIDE} pixels"
        )
    return replace(shape, width=width, height=height)


def _mean(operation: Mean, shape: Shape) -> tuple[Shape, int]:
    if operation.width % 2 == 0 or operation.height % 2 == 0:
        raise ChainError("mean takes odd window sides only: the window has a pixel in its middle")
    if operation.border is not Border.EXISTING or operation.width == operation.height == 3:  # noqa: PLR2004 - 3x3
        return shape, 0
    # Sums of 4 bytes (8 for uint16) beside the picture, and their quotients.
    return shape, shape.pixels * shape.space.channels * 8 * shape.bytes_per_value


def _crop(operation: Crop, shape: Shape) -> Shape:
    right, bottom = operation.x + operation.width, operation.y + operation.height
    if operation.width < 1 or operation.height < 1 or right > shape.width or bottom > shape.height:
        raise ChainError(
            f"crop {operation.width}x{operation.height} at ({operation.x}, {operation.y}) does not "
            f"lie inside {shape}"
        )
    return replace(shape, width=operation.width, height=operation.height)


def _convert(space: Space, shape: Shape) -> tuple[Shape, int]:
    if shape.bytes_per_value > 1 and (space in _EIGHT_BIT_SPACES):
        raise ChainError(f"convert to {space.value} needs 8 bits a channel")
    after = replace(shape, space=space)
    # By way of RGB, unless one of the two is RGB.
    is_direct = space is shape.space or Space.RGB in (space, shape.space)
    return after, 0 if is_direct else replace(shape, space=Space.RGB).size
