"""GIF (87a, 89a): the block structure, and how many pictures there are."""

from typing import Final

from podstream_workloads.imageops.headers.claims import (
    BadPicture,
    Claims,
    HeaderLimits,
    PictureTooLarge,
    require_sides,
)
from podstream_workloads.imageops.headers.window import Window

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_HAS_TABLE: Final = 0x80
_TABLE_BITS: Final = 0x07
_MAX_BLOCKS: Final = 200_000


def read_gif(window: Window, limits: HeaderLimits) -> Claims:
    """What a GIF claims.

    Raises:
        BadPicture: the structure is broken.
        PictureTooLarge: too many frames.
    """
    width, height = window.number(6, 2, big=False), window.number(8, 2, big=False)
    require_sides(width, height)
    offset = 13 + _table_bytes(window.get(10, 1)[0])
    frames = blocks = 0
    while (kind := window.get(offset, 1)[0]) != _TRAILER:
        if kind == _IMAGE:
            right = window.number(offset + 1, 2, big=False) + window.number(
                offset + 5, 2, big=False
            )
            low = window.number(offset + 3, 2, big=False) + window.number(offset + 7, 2, big=False)
            if right > width or low > height:
                raise BadPicture("a GIF frame lies outside its canvas")
            frames += 1
            if frames > limits.max_frames:
                raise PictureTooLarge(f"more than {limits.max_frames} frames")
            # Image descriptor, colour table, code size.
            offset += 10 + _table_bytes(window.get(offset + 9, 1)[0]) + 1
        elif kind == _EXTENSION:
            offset += 2
        else:
            raise BadPicture(f"GIF block {kind:#x} is not known")
        while (length := window.get(offset, 1)[0]) != 0:
            offset += 1 + length
            blocks += 1
            if blocks > _MAX_BLOCKS:
                raise PictureTooLarge(f"more than {_MAX_BLOCKS} GIF blocks")
        offset += 1
    if frames == 0:
        raise BadPicture("the GIF holds no picture")
    return Claims(width=width, height=height, is_gray=False, frames=frames, end=offset + 1)


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & _TABLE_BITS) + 1) if flags & _HAS_TABLE else 0
