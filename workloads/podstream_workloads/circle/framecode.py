"""A frame's number in the picture itself, as black and white blocks in the upper left corner.

It survives any transcoder and touches no private name, so it can say whether the identification by
RTP timestamp is right. Three rows of eight blocks of 8 x 8 pixels: the number modulo 2^16, most
significant bit first, then a CRC-8 (polynomial 0x07, from 0xFF, so that black is no code) of its
two bytes.
"""

from typing import Final

import numpy as np

MODULUS: Final = 1 << 16
BLOCK: Final = 8
ROWS, COLUMNS = 3, 8
HEIGHT, WIDTH = ROWS * BLOCK, COLUMNS * BLOCK
_WHITE, _BLACK = 235, 16
_SURE: Final = (80, 170)
"""A block whose middle lies between these grey levels says nothing."""


def _crc8(data: bytes) -> int:
    value = 0xFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 255 if value & 128 else value << 1
    return value


def blocks(number: int) -> np.ndarray:
    """Luma of the code, (24, 64) 8-bit."""
    data = (number % MODULUS).to_bytes(2)
    bits = np.unpackbits(np.frombuffer(data + bytes([_crc8(data)]), np.uint8))
    levels = np.where(bits.reshape(ROWS, COLUMNS), _WHITE, _BLACK).astype(np.uint8)
    return levels.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)


def read(luma: np.ndarray) -> int | None:
    """The number modulo 2^16; `None` where there is no code, or no clear one.

    Args:
        luma: (height, width) 8-bit numbers of a whole picture.
    """
    corner = luma[:HEIGHT, :WIDTH]
    if corner.shape != (HEIGHT, WIDTH):
        return None
    quarter = BLOCK // 4
    cells = corner.reshape(ROWS, BLOCK, COLUMNS, BLOCK)[:, quarter:-quarter, :, quarter:-quarter]
    levels = cells.mean(axis=(1, 3))
    if ((levels > _SURE[0]) & (levels < _SURE[1])).any():
        return None
    data = np.packbits((levels >= _SURE[1]).ravel()).tobytes()
    return int.from_bytes(data[:2]) if _crc8(data[:2]) == data[2] else None
