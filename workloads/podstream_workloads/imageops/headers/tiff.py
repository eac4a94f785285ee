"""TIFF 6.0: the directories of all pages. BigTIFF and rare compressions are not accepted."""

from dataclasses import dataclass, field
from typing import Final

from podstream_workloads.imageops.headers.claims import (
    BadPicture,
    Claims,
    HeaderLimits,
    PictureTooLarge,
    require_sides,
)
from podstream_workloads.imageops.headers.window import Window

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 274, 277, 322, 323, 339
_TILE_TAGS: Final = (_TILE_WIDTH, _TILE_HEIGHT)
_WANTED: Final = frozenset(
    [_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _SAMPLE_FORMAT]
).union(_TILE_TAGS)
_TYPE_BYTES: Final = {1: 1, 3: 2, 4: 4}
"""BYTE, SHORT and LONG: the types that these tags may have."""
_MAX_ENTRIES: Final = 1024
_MAX_SAMPLES: Final = 4
_COMPRESSIONS: Final = (1, 5, 8, 32773, 32946)
"""None, LZW, Deflate, PackBits, old Deflate."""
_PHOTOMETRICS: Final = (0, 1, 2, 3)
"""White is zero, black is zero, RGB, palette."""
_ACCEPTED_BITS: Final = (1, 2, 4, 8, 16)
_UNSIGNED: Final = 1
_FIRST_TURNED: Final = 5
"""Orientations from here on have width and height swapped."""


@dataclass
class _Page:
    values: dict[int, int] = field(default_factory=dict)

    def get(self, tag: int, default: int) -> int:
        return self.values.get(tag, default)


def read_tiff(window: Window, limits: HeaderLimits) -> Claims:
    """What a TIFF claims; its decoder turns pages upright by itself, so the sides are turned too.

    Raises:
        BadPicture: the structure is broken, or of a kind that is not accepted.
        PictureTooLarge: too many pages.
    """
    big = window.get(0, 2) == b"MM"
    offset = window.number(4, 4, big=big)
    seen: set[int] = set()
    first: _Page | None = None
    pixels = 0
    while offset:
        if offset in seen:
            raise BadPicture("the TIFF's pages form a ring")
        seen.add(offset)
        if len(seen) > limits.max_frames:
            raise PictureTooLarge(f"more than {limits.max_frames} pages")
        page, offset = _read_page(window, offset, big=big)
        _check(page)
        pixels += page.get(_WIDTH, 0) * page.get(_HEIGHT, 0)
        first = first or page
    if first is None:
        raise BadPicture("the TIFF holds no page")
    width, height = first.get(_WIDTH, 0), first.get(_HEIGHT, 0)
    if first.get(_ORIENTATION, 1) >= _FIRST_TURNED:
        width, height = height, width
    is_gray = first.get(_PHOTOMETRIC, 1) <= 1
    return Claims(
        width=width,
        height=height,
        is_gray=is_gray,
        bits=first.get(_BITS, 1),
        frames=len(seen),
        frame_pixels=pixels,
        # A tile is decoded whole, however little of it lies in the picture.
        work_bytes_per_pixel=_MAX_SAMPLES * 2,
    )


def _read_page(window: Window, offset: int, *, big: bool) -> tuple[_Page, int]:
    count = window.number(offset, 2, big=big)
    if not 0 < count <= _MAX_ENTRIES:
        raise BadPicture(f"a TIFF page has {count} entries")
    page = _Page()
    for index in range(count):
        entry = offset + 2 + 12 * index
        tag = window.number(entry, 2, big=big)
        if tag not in _WANTED:
            continue
        size = _TYPE_BYTES.get(window.number(entry + 2, 2, big=big))
        values = window.number(entry + 4, 4, big=big)
        if size is None or not 0 < values <= _MAX_SAMPLES:
            raise BadPicture(f"TIFF tag {tag} has no valid form")
        where = entry + 8 if size * values <= 4 else window.number(entry + 8, 4, big=big)  # noqa: PLR2004
        numbers = {window.number(where + size * i, size, big=big) for i in range(values)}
        if len(numbers) != 1:
            raise BadPicture(f"TIFF tag {tag} differs between channels")
        page.values[tag] = numbers.pop()
    return page, window.number(offset + 2 + 12 * count, 4, big=big)


def _check(page: _Page) -> None:
    width, height = page.get(_WIDTH, 0), page.get(_HEIGHT, 0)
    require_sides(width, height)
    if any(tag in page.values for tag in _TILE_TAGS):
        tile_width, tile_height = page.get(_TILE_WIDTH, 0), page.get(_TILE_HEIGHT, 0)
        require_sides(tile_width, tile_height)
        if tile_width * tile_height > max(width * height, 1024 * 1024):
            raise BadPicture("the TIFF's tiles are larger than its picture")
    wrong = [
        name
        for name, value, accepted in (
            ("compression", page.get(_COMPRESSION, 1), _COMPRESSIONS),
            ("photometric interpretation", page.get(_PHOTOMETRIC, 1), _PHOTOMETRICS),
            ("bits per sample", page.get(_BITS, 1), _ACCEPTED_BITS),
            ("samples per pixel", page.get(_SAMPLES, 1), range(1, _MAX_SAMPLES + 1)),
            ("sample format", page.get(_SAMPLE_FORMAT, _UNSIGNED), (_UNSIGNED,)),
            ("orientation", page.get(_ORIENTATION, 1), range(1, 9)),
        )
        if value not in accepted
    ]
    if wrong:
        raise BadPicture(f"TIFF with this {wrong[0]} is not accepted")
