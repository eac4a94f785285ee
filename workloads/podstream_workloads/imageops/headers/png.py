"""PNG (ISO/IEC 15948) and APNG: the chunk structure, without inflating anything."""

import zlib
from typing import Final

from podstream_workloads.imageops.headers.claims import (
    BadPicture,
    Claims,
    HeaderLimits,
    PictureTooLarge,
    require_sides,
)
from podstream_workloads.imageops.headers.exif import orientation_of
from podstream_workloads.imageops.headers.window import Window

_MAX_CHUNKS: Final = 65_536
_MAX_DEFLATE_RATIO: Final = 1033
"""Deflate makes at most 1032 bytes out of one (RFC 1951: 258 bytes from 2 bits)."""
_EXIF_BYTES: Final = 64 * 1024
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> values a pixel."""
_DEPTHS: Final = {
    0: (1, 2, 4, 8, 16),
    2: (8, 16),
    3: (1, 2, 4, 8),
    4: (8, 16),
    6: (8, 16),
}
_GRAY_TYPES: Final = (0, 4)
_ESSENTIAL: Final = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT")


def read_png(window: Window, limits: HeaderLimits) -> Claims:
    """What a PNG claims.

    Raises:
        BadPicture: the structure is broken.
        PictureTooLarge: more bytes of texts and profiles, or frames, than allowed.
    """
    if window.number(8, 4, big=True) != 13 or window.get(12, 4) != b"IHDR":  # noqa: PLR2004
        raise BadPicture("a PNG begins with a chunk IHDR of 13 bytes")
    header = window.get(12, 17)
    if zlib.crc32(header) != window.number(29, 4, big=True):
        raise BadPicture("the checksum of IHDR is wrong")
    width, height = int.from_bytes(header[4:8], "big"), int.from_bytes(header[8:12], "big")
    bits, colour, compression, filtering, interlace = header[12:17]
    require_sides(width, height)
    if bits not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise BadPicture(f"IHDR has no valid form: colour type {colour}, {bits} bits")
    body = _walk(window, limits)
    row_bytes = (width * _CHANNELS[colour] * bits + 7) // 8
    if height * row_bytes > body.data_bytes * _MAX_DEFLATE_RATIO:
        raise BadPicture(f"{body.data_bytes} bytes of IDAT cannot hold {width}x{height} pixels")
    return Claims(
        width=width,
        height=height,
        is_gray=colour in _GRAY_TYPES,
        bits=bits,
        frames=body.frames,
        orientation=body.orientation,
        end=body.end,
    )


class _Body:
    def __init__(self) -> None:
        self.data_bytes = 0
        self.ancillary_bytes = 0
        self.frames = 1
        self.orientation = 1
        self.end = 0


def _walk(window: Window, limits: HeaderLimits) -> _Body:
    body = _Body()
    offset = 8
    for _ in range(_MAX_CHUNKS):
        length, kind = window.number(offset, 4, big=True), window.get(offset + 4, 4)
        following = offset + 12 + length
        if following > window.size:
            raise BadPicture(f"chunk {kind!r} reaches beyond the end of the file")
        if kind == b"IDAT":
            body.data_bytes += length
        elif kind == b"acTL":
            body.frames = max(1, window.number(offset + 8, 4, big=True))
        elif kind == b"eXIf":
            body.orientation = orientation_of(window.get(offset + 8, min(length, _EXIF_BYTES)))
        if kind not in _ESSENTIAL:
            body.ancillary_bytes += length
            if body.ancillary_bytes > limits.max_ancillary_bytes:
                raise PictureTooLarge(
                    f"more than {limits.max_ancillary_bytes} bytes of texts and profiles"
                )
        offset = following
        if kind == b"IEND":
            body.end = offset
            return body
    raise BadPicture(f"more than {_MAX_CHUNKS} chunks")
