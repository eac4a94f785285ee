"""Decides whether a picture file may be decoded, by its structure alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from podstream_workloads.imageops.headers.bmp import read_bmp
from podstream_workloads.imageops.headers.claims import (
    BadPicture,
    Claims,
    FileFormat,
    HeaderLimits,
    PictureTooLarge,
    TooManyFilePixels,
)
from podstream_workloads.imageops.headers.gif import read_gif
from podstream_workloads.imageops.headers.jpeg import read_jpeg
from podstream_workloads.imageops.headers.png import read_png
from podstream_workloads.imageops.headers.tiff import read_tiff
from podstream_workloads.imageops.headers.webp import read_webp
from podstream_workloads.imageops.headers.window import Source, Window

__all__ = [
    "BadPicture",
    "FileFormat",
    "Header",
    "HeaderLimits",
    "PictureTooLarge",
    "TooManyFilePixels",
    "format_of",
    "inspect",
]

_READERS: Final[dict[FileFormat, Callable[[Window, HeaderLimits], Claims]]] = {
    FileFormat.PNG: read_png,
    FileFormat.JPEG: read_jpeg,
    FileFormat.WEBP: read_webp,
    FileFormat.BMP: read_bmp,
    FileFormat.TIFF: read_tiff,
    FileFormat.GIF: read_gif,
}
_MAGIC_BYTES: Final = 16
_EIGHT_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Header:
    """What a file that may be decoded claims."""

    format: FileFormat
    width: int
    """Pixels as the decoder gives them, before `orientation` is applied."""
    height: int
    is_gray: bool
    bits: int
    """Of one value: at most 8, or 16."""
    frames: int
    """Pictures in the file; the first one is decoded."""
    orientation: int
    """EXIF orientation that is still to be applied, 1 to 8."""
    decode_bytes: int
    """Upper bound of what decoding takes, output included."""


def format_of(head: bytes) -> FileFormat | None:
    """Kind of a file by its first 12 bytes; `None` where it is not accepted."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileFormat.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return FileFormat.JPEG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return FileFormat.WEBP
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return FileFormat.TIFF
    if head.startswith((b"GIF87a", b"GIF89a")):
        return FileFormat.GIF
    if head.startswith(b"BM"):
        return FileFormat.BMP
    return None


def inspect(source: Source, *, limits: HeaderLimits, declared: FileFormat | None = None) -> Header:
    """Read what a file claims, without decoding anything.

    Args:
        source: the file.
        limits: what it may ask for.
        declared: what its sender says it is.

    Raises:
        BadPicture: the file is damaged, of no accepted kind, or not what it was declared as.
        PictureTooLarge: the file asks for more than the limits allow.
    """
    kind = format_of(source.read(0, _MAGIC_BYTES))
    if kind is None:
        accepted = ", ".join(FileFormat)
        raise BadPicture(f"the data is no picture file of an accepted kind ({accepted})")
    if declared is not None and declared is not kind:
        raise BadPicture(f"the file was declared as {declared.value} and is {kind.value}")
    claims = _READERS[kind](Window(source), limits)
    pixels = claims.frame_pixels or claims.width * claims.height * claims.frames
    if claims.frames > limits.max_frames:
        raise PictureTooLarge(f"more than {limits.max_frames} frames")
    if pixels > limits.max_pixels:
        frames = f" in {claims.frames} frames" if claims.frames > 1 else ""
        raise TooManyFilePixels(
            f"{claims.width}x{claims.height}{frames} are {pixels} pixels: at most "
            f"{limits.max_pixels} are allowed"
        )
    if claims.end is not None and source.size - claims.end > limits.max_trailing_bytes:
        raise BadPicture(
            f"{source.size - claims.end} bytes follow the end of the picture: at most "
            f"{limits.max_trailing_bytes} are allowed"
        )
    bits = _EIGHT_BITS if claims.bits <= _EIGHT_BITS else 2 * _EIGHT_BITS
    value_bytes = (1 if claims.is_gray else 3) * bits // _EIGHT_BITS
    # Decoders make an alpha channel before they drop it, and turn colours row by row.
    decode_bytes = claims.width * claims.height * (value_bytes + 1 + claims.work_bytes_per_pixel)
    return Header(
        format=kind,
        width=claims.width,
        height=claims.height,
        is_gray=claims.is_gray,
        bits=bits,
        frames=claims.frames,
        orientation=claims.orientation,
        decode_bytes=decode_bytes,
    )
