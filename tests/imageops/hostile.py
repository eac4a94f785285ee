"""Makes picture files by hand: sound ones, and those that claim more than they hold."""

import struct
import zlib

import cv2
import numpy as np

RNG = np.random.default_rng(11)
NOISE = RNG.integers(0, 256, (12, 20, 3), np.uint8)


def encoded(extension: str, picture: object = NOISE, *parameters: int) -> bytes:
    ok, data = cv2.imencode(extension, picture, list(parameters))  # type: ignore[call-overload]
    assert ok
    return bytes(data)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int,
    height: int,
    *,
    bits: int = 8,
    colour: int = 2,
    data: bytes = b"",
    extra: bytes = b"",
) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", ihdr) + extra + chunk(b"IDAT", data) + chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + body


def png_of_zeros(width: int, height: int, *, bits: int = 8, colour: int = 2) -> bytes:
    """A bomb: rows of zeros, packed a thousandfold."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = b"\0" * (1 + (width * channels * bits + 7) // 8)
    packer = zlib.compressobj(9)
    block = row * max(1, 2**20 // len(row))
    rows_in_block = len(block) // len(row)
    packed = b"".join(packer.compress(block) for _ in range(height // rows_in_block))
    packed += packer.compress(row * (height % rows_in_block)) + packer.flush()
    return png(width, height, bits=bits, colour=colour, data=packed)


def bmp(
    width: int, height: int, *, bits: int = 24, compression: int = 0, data: bytes = b""
) -> bytes:
    begin = 54
    head = struct.pack("<2sIHHI", b"BM", begin + len(data), 0, 0, begin)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return head + info + data


def tiff(pages: list[dict[int, int]], *, data: bytes = bytes(64), loop: bool = False) -> bytes:
    """Pages of SHORT and LONG tags; strips all point to the same data."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8 + len(data)) + data)
    for index, page in enumerate(pages):
        tags = {258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: page[257], 279: len(data)} | page
        begin = len(out)
        out += struct.pack("<H", len(tags))
        for tag, value in sorted(tags.items()):
            out += struct.pack("<HHII", tag, 4, 1, value)
        is_last = index == len(pages) - 1
        following = begin + 2 + 12 * len(tags) + 4
        out += struct.pack("<I", (8 + len(data) if loop else 0) if is_last else following)
    return bytes(out)


def gif(width: int, height: int, frames: int = 1) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    table = bytes(6)
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + table
    return head + frame * frames + b"\x3b"


def webp_lossless_header(width: int, height: int) -> bytes:
    packed = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", packed) + b"\0"
    body = b"WEBP" + b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    block = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + segment(0xE1, block) + jpeg[2:]


def jpeg_of_sides(width: int, height: int) -> bytes:
    """A small JPEG whose frame header claims other sides."""
    data = encoded(".jpg")
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rindex(b"\xff\xda")
    own = data.count(b"\xff\xda")
    return data[:last] + data[last:-2] * (count - own + 1) + data[-2:]
