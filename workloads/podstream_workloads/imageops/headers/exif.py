"""Orientation of a picture from an EXIF block (CIPA DC-008, TIFF structure, tag 0x0112)."""

from typing import Final

_TAG_ORIENTATION: Final = 0x0112
_ENTRY_BYTES: Final = 12
_MAX_ENTRIES: Final = 512
_ORIENTATIONS: Final = range(1, 9)


def orientation_of(block: bytes) -> int:
    """Orientation 1 to 8; 1 (upright) where the block says none or cannot be read.

    Args:
        block: from the byte order mark on; may be cut off.
    """
    if block[:4] not in (b"II*\x00", b"MM\x00*"):
        return 1
    order = "little" if block[:2] == b"II" else "big"

    def number(offset: int, count: int) -> int:
        return int.from_bytes(block[offset : offset + count], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    for index in range(min(number(directory, 2), _MAX_ENTRIES)):
        entry = directory + 2 + index * _ENTRY_BYTES
        if number(entry, 2) == _TAG_ORIENTATION:
            value = number(entry + 8, 2)
            return value if value in _ORIENTATIONS else 1
    return 1
