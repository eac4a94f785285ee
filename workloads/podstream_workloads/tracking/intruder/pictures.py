"""Turns a camera's bytes into pixels, and nothing else: what a picture claims is checked first.

The header is read before any decoder runs, so a file of a few bytes that claims gigapixels (a
bomb) costs nothing. JPEG and PNG only: what cameras send and what galleries are made of.
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge.detectors.base import Picture

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_SEGMENTS: Final = 256
"""Markers looked at before the frame header; real files have fewer than twenty."""
_SCANS: Final = 64
"""Scans of a progressive JPEG: encoders make about ten, each costs a pass over all pixels."""


class Refusal(StrEnum):
    """Why bytes do not become pixels."""

    EMPTY = "empty"
    BYTES = "too many bytes"
    PIXELS = "too many pixels"
    UNDECODABLE = "not a picture"


class PictureRefused(Exception):
    """The bytes are no picture, or one beyond the limits."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a picture may claim."""

    max_bytes: int = 4 * 1024 * 1024
    max_pixels: int = 25_000_000
    """75 MB decoded; a 5K camera has 14.7 million."""


def decode(data: bytes, *, limits: PictureLimits) -> Picture:
    """The picture's pixels, upright, BGR. Blocks: call it in a thread.

    Raises:
        PictureRefused: before decoding where the header already tells.
    """
    if not data:
        raise PictureRefused(Refusal.EMPTY, "no bytes")
    if len(data) > limits.max_bytes:
        raise PictureRefused(Refusal.BYTES, f"{len(data)} bytes, at most {limits.max_bytes}")
    size = claimed_size(data)
    if size is None or 0 in size:
        raise PictureRefused(Refusal.UNDECODABLE, "neither a JPEG nor a PNG file")
    width, height = size
    if width * height > limits.max_pixels:
        raise PictureRefused(
            Refusal.PIXELS, f"{width} x {height} pixels, at most {limits.max_pixels} in all"
        )
    if data.startswith(_JPEG) and data.count(b"\xff\xda") > _SCANS:
        raise PictureRefused(Refusal.PIXELS, f"a JPEG of more than {_SCANS} scans")
    flat: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
    try:
        picture = cv2.imdecode(flat, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PictureRefused(Refusal.UNDECODABLE, str(error)) from error
    if picture is None:
        raise PictureRefused(Refusal.UNDECODABLE, "the decoder gave up")
    return np.asarray(picture, np.uint8)


def encode_jpeg(picture: Picture, *, quality: int) -> bytes:
    """The picture as a JPEG file; `quality` 1 to 100."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise PictureRefused(Refusal.UNDECODABLE, "the encoder gave up")
    return bytes(data)


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a JPEG or PNG file; `None` for anything else."""
    if data.startswith(_PNG):
        if len(data) < 24 or data[12:16] != b"IHDR":  # noqa: PLR2004 - the header's fixed places
            return None
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    return _jpeg_size(data) if data.startswith(_JPEG) else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the first frame header, ITU-T T.81, B.2.2."""
    at = 2
    for _ in range(_SEGMENTS):
        while at < len(data) - 1 and data[at] == 0xFF and data[at + 1] == 0xFF:  # noqa: PLR2004
            at += 1  # fill bytes
        if at + 9 > len(data) or data[at] != 0xFF:  # noqa: PLR2004 - every marker begins with FF
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004 - SOF
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker in {0xD9, 0xDA}:  # the end, or pixels, before any frame header
            return None
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None
