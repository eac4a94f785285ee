"""BMP without run-length encoding: there a thousand bytes claim gigabytes."""

from typing import Final

from podstream_workloads.imageops.headers.claims import (
    BadPicture,
    Claims,
    HeaderLimits,
    require_sides,
)
from podstream_workloads.imageops.headers.window import Window

_CORE_HEADER: Final = 12
_HEADERS: Final = (40, 52, 56, 108, 124)
_BITS: Final = (1, 4, 8, 16, 24, 32)
_RGB, _BITFIELDS = 0, 3
_FILE_HEADER: Final = 14


def read_bmp(window: Window, limits: HeaderLimits) -> Claims:
    """What a BMP claims; a negative height means rows from the top and is accepted.

    Raises:
        BadPicture: the header is broken, compressed, or longer than its data.
    """
    del limits
    header_size = window.number(14, 4, big=False)
    if header_size == _CORE_HEADER:
        width, height = window.number(18, 2, big=False), window.number(20, 2, big=False)
        planes, bits = window.number(22, 2, big=False), window.number(24, 2, big=False)
        compression = _RGB
    elif header_size in _HEADERS:
        width = int.from_bytes(window.get(18, 4), "little", signed=True)
        height = abs(int.from_bytes(window.get(22, 4), "little", signed=True))
        planes, bits = window.number(26, 2, big=False), window.number(28, 2, big=False)
        compression = window.number(30, 4, big=False)
    else:
        raise BadPicture(f"BMP header of {header_size} bytes is not known")
    require_sides(width, height)
    if planes != 1 or bits not in _BITS or compression not in (_RGB, _BITFIELDS):
        raise BadPicture(f"BMP of {bits} bits with compression {compression} is not accepted")
    begin = window.number(10, 4, big=False)
    end = begin + height * (((width * bits + 31) // 32) * 4)
    if begin < _FILE_HEADER + header_size or end > window.size:
        raise BadPicture("the BMP is shorter than its header claims")
    return Claims(width=width, height=height, is_gray=False, end=end)
