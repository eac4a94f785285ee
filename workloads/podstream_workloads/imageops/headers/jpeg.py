"""JPEG (ITU-T T.81): the marker structure, and how many scans there are."""

import re
from typing import Final

from podstream_workloads.imageops.headers.claims import (
    BadPicture,
    Claims,
    HeaderLimits,
    PictureTooLarge,
    require_sides,
)
from podstream_workloads.imageops.headers.exif import orientation_of
from podstream_workloads.imageops.headers.window import BLOCK_BYTES, Window

_MAX_SEGMENTS: Final = 4096
_FRAMES: Final = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive Huffman: what libjpeg-turbo is built for everywhere."""
_PROGRESSIVE: Final = 0xC2
_OTHER_FRAMES: Final = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_ALONE: Final = (0x01, *range(0xD0, 0xD8))
"""Markers without a length: TEM and restarts."""
_COMPONENTS: Final = (1, 3, 4)
_EXIF_BYTES: Final = 64 * 1024
_COEFFICIENT_BYTES: Final = 2
_NEXT_MARKER: Final = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
"""In entropy-coded data 0xFF is followed by 0x00 or a restart; anything else is a marker."""


def read_jpeg(window: Window, limits: HeaderLimits) -> Claims:
    """What a JPEG claims.

    Raises:
        BadPicture: the structure is broken, or the process is none that is accepted.
        PictureTooLarge: too many scans.
    """
    frame: Claims | None = None
    orientation, scans, offset = 1, 0, 2
    for _ in range(_MAX_SEGMENTS):
        marker, offset = _marker(window, offset)
        if marker == _EOI:
            if frame is None or scans == 0:
                raise BadPicture("the JPEG ends without a picture")
            return _finished(frame, orientation=orientation, end=offset)
        if marker in _ALONE:
            continue
        if marker == _SOI or marker in _OTHER_FRAMES:
            raise BadPicture(f"JPEG marker {marker:#x} is not accepted")
        length = window.number(offset, 2, big=True)
        if length < 2 or offset + length > window.size:  # noqa: PLR2004 - the length counts itself
            raise BadPicture("a JPEG segment reaches beyond the end of the file")
        if marker in _FRAMES:
            if frame is not None:
                raise BadPicture("the JPEG has two frame headers")
            frame = _frame(window.get(offset, min(length, 20)), marker)
        elif marker == _APP1 and window.get(offset + 2, min(6, length - 2)) == b"Exif\x00\x00":
            block = window.get(offset + 8, min(length - 8, _EXIF_BYTES))
            orientation = orientation_of(block)
        offset += length
        if marker == _SOS:
            scans += 1
            if scans > limits.max_scans:
                raise PictureTooLarge(f"more than {limits.max_scans} scans")
            offset = _skip_data(window, offset)
    raise BadPicture(f"more than {_MAX_SEGMENTS} JPEG segments")


def _marker(window: Window, offset: int) -> tuple[int, int]:
    """The marker at `offset` and where it ends; fill bytes before it are allowed."""
    if window.get(offset, 1) != b"\xff":
        raise BadPicture("a JPEG marker is missing")
    while (code := window.get(offset, 1)[0]) == 0xFF:  # noqa: PLR2004 - fill byte
        offset += 1
    return code, offset + 1


def _frame(segment: bytes, marker: int) -> Claims:
    if len(segment) < 11:  # noqa: PLR2004 - with one component
        raise BadPicture("the JPEG's frame header is too short")
    bits, components = segment[2], segment[7]
    height, width = int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[5:7], "big")
    if bits != 8 or components not in _COMPONENTS:  # noqa: PLR2004 - baseline precision
        raise BadPicture(f"JPEG of {components} components with {bits} bits is not accepted")
    require_sides(width, height)
    is_progressive = marker == _PROGRESSIVE
    return Claims(
        width=width,
        height=height,
        is_gray=components == 1,
        # A progressive picture is kept as coefficients until its last scan.
        work_bytes_per_pixel=components * _COEFFICIENT_BYTES if is_progressive else 0,
    )


def _skip_data(window: Window, offset: int) -> int:
    """Where the next marker after entropy-coded data begins."""
    while True:
        block = window.block_at(offset)
        found = _NEXT_MARKER.search(block)
        if found is not None:
            return offset + found.start()
        if len(block) < BLOCK_BYTES:
            raise BadPicture("the JPEG ends inside its data")
        # A 0xFF at the very end belongs to the next block.
        offset += len(block) - 1


def _finished(frame: Claims, *, orientation: int, end: int) -> Claims:
    return Claims(
        width=frame.width,
        height=frame.height,
        is_gray=frame.is_gray,
        orientation=orientation,
        end=end,
        work_bytes_per_pixel=frame.work_bytes_per_pixel,
    )
