"""WebP (RFC 9649): the RIFF structure, canvas, and frames of an animation."""

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
_MAX_SIDE: Final = 16_384
_EXIF_BYTES: Final = 64 * 1024
_LOSSLESS_SIGNATURE: Final = 0x2F
_START_CODE: Final = b"\x9d\x01\x2a"


def read_webp(window: Window, limits: HeaderLimits) -> Claims:
    """What a WebP claims.

    Raises:
        BadPicture: the structure is broken.
        PictureTooLarge: too many frames.
    """
    end = 8 + window.number(4, 4, big=False)
    end += end % 2
    if end > window.size + 1:
        raise BadPicture("the WebP is shorter than its header claims")
    width, height = _canvas_sides(window)
    require_sides(width, height)
    if max(width, height) > _MAX_SIDE:
        raise BadPicture(f"a WebP has sides of at most {_MAX_SIDE} pixels")
    frames, orientation = 0, 1
    offset, count = 12, 0
    has_picture = False
    while offset + 8 <= end:
        kind, length = window.get(offset, 4), window.number(offset + 4, 4, big=False)
        if kind in (b"VP8 ", b"VP8L"):
            has_picture = True
            if _frame_sides(window, offset) != (width, height):
                raise BadPicture("the WebP's picture does not fill its canvas")
        elif kind == b"ANMF":
            frames += 1
            if frames > limits.max_frames:
                raise PictureTooLarge(f"more than {limits.max_frames} frames")
        elif kind == b"EXIF":
            block = window.get(offset + 8, min(length, _EXIF_BYTES))
            orientation = orientation_of(block.removeprefix(b"Exif\x00\x00"))
        offset += 8 + length + length % 2
        count += 1
        if count > _MAX_CHUNKS:
            raise BadPicture(f"more than {_MAX_CHUNKS} WebP chunks")
    if not has_picture and frames == 0:
        raise BadPicture("the WebP holds no picture")
    return Claims(
        width=width,
        height=height,
        is_gray=False,
        frames=max(1, frames),
        orientation=orientation,
        end=min(end, window.size),
    )


def _canvas_sides(window: Window) -> tuple[int, int]:
    first = window.get(12, 4)
    if first == b"VP8X":
        return 1 + window.number(24, 3, big=False), 1 + window.number(27, 3, big=False)
    if first in (b"VP8 ", b"VP8L"):
        return _frame_sides(window, 12)
    raise BadPicture("the WebP begins with no known chunk")


def _frame_sides(window: Window, offset: int) -> tuple[int, int]:
    """Sides of the bit stream in the chunk at `offset`."""
    if window.get(offset, 4) == b"VP8L":
        data = window.get(offset + 8, 5)
        if data[0] != _LOSSLESS_SIGNATURE:
            raise BadPicture("the WebP's lossless picture has no signature")
        packed = int.from_bytes(data[1:], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    data = window.get(offset + 8, 10)
    if data[3:6] != _START_CODE:
        raise BadPicture("the WebP's picture has no start code")
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    return width, height
