"""Applies a chain to a picture. Run it in a worker process: it takes as long as it takes."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from podstream_workloads.imageops.operations.blur import gaussian, mean
from podstream_workloads.imageops.operations.colour import convert
from podstream_workloads.imageops.operations.geometry import crop, flip, resize, rotate, turn
from podstream_workloads.imageops.operations.values import (
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

Picture = NDArray[Any]


def apply_chain(
    picture: Picture,
    operations: Sequence[Operation],
    *,
    space: Space,
    out: Picture | None = None,
    on_step: Callable[[int], None] | None = None,
) -> tuple[Picture, Space]:
    """Apply operations one after another; the chain has been planned already.

    Args:
        picture: is not changed.
        operations: in order.
        space: meaning of the picture's channels.
        out: contiguous array of the result's shape that a last step may write to; the result is
            not always in it.
        on_step: told the number of operations that are done.

    Returns:
        The picture and the meaning of its channels.
    """
    for index, operation in enumerate(operations):
        target = out if index == len(operations) - 1 else None
        picture, space = apply(picture, operation, space=space, out=target)
        if on_step is not None:
            on_step(index + 1)
    return picture, space


def apply(
    picture: Picture, operation: Operation, *, space: Space, out: Picture | None = None
) -> tuple[Picture, Space]:
    """Apply one operation; see `apply_chain`."""
    match operation:
        case QuarterTurn(turn=quarter):
            return turn(picture, quarters=quarter.quarters, out=out), space
        case RotateDegrees():
            return rotate(picture, operation), space
        case Mean():
            return mean(picture, operation, out=out), space
        case Gaussian():
            return gaussian(picture, operation), space
        case Resize():
            return resize(picture, operation), space
        case Crop():
            return crop(picture, operation), space
        case Flip():
            return flip(picture, operation), space
        case Gray():
            return convert(picture, source=space, target=Space.GRAY), Space.GRAY
        case Convert(space=target):
            return convert(picture, source=space, target=target), target
