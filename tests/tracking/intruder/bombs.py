"""Picture files that are made to cost whoever decodes them."""

import struct
import zlib

import cv2

from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import jpeg, room


def png_bomb(width: int, height: int) -> bytes:
    """A PNG file of a few hundred bytes that claims as many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """A JPEG file whose frame header claims 65500 x 65500 pixels."""
    data = bytearray(jpeg(room()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG with one of its scans repeated 100 times."""
    done, encoded = cv2.imencode(
        ".jpg", room(portrait(person(1))), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    )
    assert done
    data = bytes(encoded)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * 100 + data[-2:]
