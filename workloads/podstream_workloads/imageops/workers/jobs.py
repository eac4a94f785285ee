"""What parent and worker say to each other: one message of JSON each, segments as descriptors."""

from enum import StrEnum
from typing import Final

import msgspec

from podstream_workloads.imageops.headers import Header
from podstream_workloads.imageops.operations.plan import ChainError, Shape, plan_chain
from podstream_workloads.imageops.operations.upright import upright
from podstream_workloads.imageops.operations.values import Operation, Space
from podstream_workloads.imageops.output import Output, max_bytes, require_encodable

MAX_MESSAGE_BYTES: Final = 64 * 1024
_EIGHT_BITS: Final = 8
_TWO_BYTES: Final = 2


class RawSource(msgspec.Struct, frozen=True, kw_only=True, tag="raw"):
    """Values row by row without padding."""

    width: int
    height: int
    space: Space
    bytes_per_value: int = 1

    @property
    def shape(self) -> Shape:
        """Form of the picture."""
        return Shape(self.width, self.height, self.space, self.bytes_per_value)


class FileSource(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """A picture file that `inspect` has let through."""

    header: Header
    keep_depth: bool = False

    @property
    def shape(self) -> Shape:
        """Form of the picture as the decoder gives it."""
        header = self.header
        is_deep = self.keep_depth and header.bits > _EIGHT_BITS
        space = Space.GRAY if header.is_gray else Space.RGB
        return Shape(header.width, header.height, space, _TWO_BYTES if is_deep else 1)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One picture, its chain and its form."""

    source: RawSource | FileSource
    input_bytes: int
    operations: tuple[Operation, ...]
    output: Output
    capacity: int
    """Bytes that the output segment has."""
    needs_bytes: int
    """Upper bound of the memory that the job takes, segments included."""

    @property
    def pixels(self) -> int:
        """Of the input: what decides between the lanes."""
        return self.source.shape.pixels


class RefusalKind(StrEnum):
    """Why a worker did not give a result."""

    INVALID = "invalid"
    """The picture cannot be decoded, or the chain cannot be applied to it."""
    TOO_LARGE = "tooLarge"
    """Memory ran out."""
    FAILED = "failed"
    """A fault of ours."""


class Step(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """So many operations are done; 0: the picture is decoded."""

    done: int


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The result lies in the output segment."""

    width: int
    height: int
    space: Space
    bytes_per_value: int
    size: int
    """Bytes."""
    cpu_s: float
    """CPU time of the whole process so far."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """There is no result."""

    kind: RefusalKind
    message: str
    cpu_s: float


Reply = Step | Done | Refused


def make_job(
    source: RawSource | FileSource,
    *,
    input_bytes: int,
    operations: tuple[Operation, ...],
    output: Output,
    max_pixels: int,
) -> Job:
    """Plan a picture's way and make the job of it.

    Raises:
        ChainError: the chain does not fit the picture, or the result its form.
        TooLarge: a picture on the way is above `max_pixels`.
    """
    decoding = 0
    if isinstance(source, FileSource):
        operations = upright(source.header.orientation) + operations
        decoding = source.header.decode_bytes
    plan = plan_chain(operations, shape=source.shape, max_pixels=max_pixels)
    require_encodable(plan.shape, output)
    capacity = max_bytes(plan.shape, output)
    return Job(
        source=source,
        input_bytes=input_bytes,
        operations=operations,
        output=output,
        capacity=capacity,
        # Decoding and the operations come one after the other, but what one frees the other
        # cannot rely on.
        needs_bytes=input_bytes + decoding + plan.peak_bytes + capacity,
    )


def require_raw(shape: Shape, *, size: int) -> None:
    """Check that raw values are as many as the picture has.

    Raises:
        ChainError: a side is not positive, or the number of bytes is another.
    """
    if shape.width < 1 or shape.height < 1:
        raise ChainError(f"width and height must be positive, not {shape.width}x{shape.height}")
    if size != shape.size:
        raise ChainError(
            f"data size does not correspond to width, height and color: {shape} needs "
            f"{shape.size} bytes, there are {size}"
        )
