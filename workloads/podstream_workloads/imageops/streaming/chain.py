"""Operations on a stream's frames (`postProcess`, `imageOps.stream`), planned for its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from podstream_workloads.imageops.chain import ChainTextError, parse_chain
from podstream_workloads.imageops.operations.plan import ChainError, Shape, TooLarge, plan_chain
from podstream_workloads.imageops.operations.values import Operation, Space
from podstream_workloads.imageops.service.errors import CallError
from podstream_workloads.imageops.service.messages import operations_of

_MOST_PIXELS: Final = 7680 * 4320


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations that fit a stream."""

    texts: tuple[str, ...]
    operations: tuple[Operation, ...]
    width: int
    """Of the frames that come out, pixels."""
    height: int


def plan(texts: Sequence[str], *, width: int, height: int) -> Chain:
    """Follow the operations from a frame's size to the result's.

    Args:
        texts: operations as `podstream-image --apply` takes them, in order.
        width: of the frames that go in, pixels.
        height: rows.

    Raises:
        ValueError: one is no operation, or does not fit what it gets.
    """
    try:
        operations = operations_of([item for text in texts for item in parse_chain(text)])
        shape = Shape(width, height, Space.BGR, 1)
        found = plan_chain(operations, shape=shape, max_pixels=_MOST_PIXELS).shape
    except (ChainTextError, CallError, ChainError, TooLarge) as error:
        raise ValueError(str(error)) from error
    return Chain(tuple(texts), operations, found.width, found.height)
