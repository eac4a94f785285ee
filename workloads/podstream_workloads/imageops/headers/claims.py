"""What the header of a picture file claims, and how a file is refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_FILE_SIDE: Final = 65_535
"""Pixels: what JPEG, GIF and WebP can say at most; nobody needs more from the others."""


class BadPicture(ValueError):
    """The file is damaged, or of a kind that is not accepted."""


class PictureTooLarge(ValueError):
    """The file may be sound but asks for more than the limits allow."""


class TooManyFilePixels(PictureTooLarge):
    """All frames together have more pixels than are allowed."""


class FileFormat(StrEnum):
    """Accepted kinds of files, by their first bytes and never by their name."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"
    GIF = "gif"


@dataclass(frozen=True, slots=True)
class HeaderLimits:
    """What a file may ask for."""

    max_pixels: int
    """Pixels of all frames together."""
    max_scans: int = 64
    """Scans of a progressive JPEG: each costs a pass over the whole picture."""
    max_frames: int = 1000
    max_ancillary_bytes: int = 8 * 1024 * 1024
    """PNG chunks that are no picture: profiles, texts."""
    max_trailing_bytes: int = 64 * 1024
    """Bytes after the picture's end, such as another file."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a parser has read."""

    width: int
    """Pixels, as stored."""
    height: int
    is_gray: bool
    bits: int = 8
    """Of one value, at most 16."""
    frames: int = 1
    frame_pixels: int | None = None
    """Pixels of all frames together where they differ in size."""
    orientation: int = 1
    """EXIF orientation (1 to 8) that the decoder leaves to us."""
    end: int | None = None
    """Where the picture ends in the file; `None` where the format does not say."""
    work_bytes_per_pixel: int = 0
    """What the decoder needs beside its output, such as coefficients of a progressive JPEG."""


def require_sides(width: int, height: int) -> None:
    """Refuse sides that no sound file has.

    Raises:
        BadPicture: a side is zero or above `MAX_FILE_SIDE`.
    """
    if not 0 < width <= MAX_FILE_SIDE or not 0 < height <= MAX_FILE_SIDE:
        raise BadPicture(f"sides of {width}x{height}: they must be 1 to {MAX_FILE_SIDE} pixels")
