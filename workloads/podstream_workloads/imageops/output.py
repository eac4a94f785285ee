"""In what form a result leaves, and what each form can hold. Knows no pixels."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from podstream_workloads.imageops.operations.plan import ChainError, Shape
from podstream_workloads.imageops.operations.values import Space


class OutputFormat(StrEnum):
    """Kinds of results."""

    RAW = "raw"
    """Values row by row without padding; 16 bits in little-endian order."""
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"


DEFAULT_QUALITY: Final = {OutputFormat.JPEG: 95, OutputFormat.WEBP: 80}
_EIGHT_BITS_ONLY: Final = (OutputFormat.JPEG, OutputFormat.WEBP)
_MAX_SIDES: Final = {OutputFormat.JPEG: 65_500, OutputFormat.WEBP: 16_383}
_FILE_OVERHEAD_BYTES: Final = 64 * 1024


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What the result is encoded as."""

    format: OutputFormat = OutputFormat.RAW
    quality: Annotated[int, Meta(ge=0, le=100)] = 0
    """JPEG and WebP, 1 to 100; 0: the format's default."""
    lossless: bool = False
    """WebP without loss."""


def require_encodable(shape: Shape, output: Output) -> None:
    """Check that a picture fits the form that it is to leave in.

    Raises:
        ChainError: it does not.
    """
    kind = output.format
    if kind is OutputFormat.RAW:
        return
    if shape.space not in (Space.GRAY, Space.RGB):
        raise ChainError(f"{kind.value} holds Gray or Rgb: convert the {shape.space.value} first")
    if shape.bytes_per_value > 1 and kind in _EIGHT_BITS_ONLY:
        raise ChainError(f"{kind.value} holds 8 bits a channel, the picture has 16")
    limit = _MAX_SIDES.get(kind)
    if limit is not None and max(shape.width, shape.height) > limit:
        raise ChainError(f"{kind.value} has sides of at most {limit} pixels, not {shape}")


def max_bytes(shape: Shape, output: Output) -> int:
    """Upper bound of the encoded result's size."""
    if output.format is OutputFormat.RAW:
        return shape.size
    # No codec makes noise larger than this; LZW of TIFF is the worst with 12 bits for 8.
    return shape.size + shape.size // 2 + shape.height + _FILE_OVERHEAD_BYTES
