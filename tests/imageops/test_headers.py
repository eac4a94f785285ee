"""Files are judged by their structure before anything decodes them."""

import struct
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageops import hostile
from podstream_workloads.imageops.codec import decode
from podstream_workloads.imageops.headers import (
    BadPicture,
    FileFormat,
    Header,
    HeaderLimits,
    PictureTooLarge,
    inspect,
)
from podstream_workloads.imageops.headers.window import BytesSource
from podstream_workloads.imageops.operations.apply import apply_chain
from podstream_workloads.imageops.operations.upright import upright
from podstream_workloads.imageops.operations.values import Space

LIMITS = HeaderLimits(max_pixels=40_000_000)
SOUND = {
    FileFormat.PNG: hostile.encoded(".png"),
    FileFormat.JPEG: hostile.encoded(".jpg"),
    FileFormat.WEBP: hostile.encoded(".webp"),
    FileFormat.BMP: hostile.encoded(".bmp"),
    FileFormat.TIFF: hostile.encoded(".tiff"),
    FileFormat.GIF: hostile.encoded(".gif"),
}


def look(
    data: bytes, *, limits: HeaderLimits = LIMITS, declared: FileFormat | None = None
) -> Header:
    return inspect(BytesSource(data), limits=limits, declared=declared)


@pytest.mark.parametrize("kind", FileFormat)
def test_sound_files_are_read(kind: FileFormat) -> None:
    header = look(SOUND[kind], declared=kind)
    assert (header.format, header.width, header.height) == (kind, 20, 12)
    assert (header.is_gray, header.bits, header.frames, header.orientation) == (False, 8, 1, 1)


@pytest.mark.parametrize("kind", FileFormat)
def test_what_is_claimed_is_what_is_decoded(kind: FileFormat) -> None:
    picture, space = decode(
        np.frombuffer(SOUND[kind], np.uint8), header=look(SOUND[kind]), keep_depth=False
    )
    assert picture.shape == (12, 20, 3)
    assert space is Space.RGB
    if kind in (FileFormat.PNG, FileFormat.BMP, FileFormat.TIFF):
        assert (picture == hostile.NOISE[:, :, ::-1]).all(), "OpenCV's BGR became RGB"


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tiff"])
def test_gray_files_stay_gray(extension: str) -> None:
    data = hostile.encoded(extension, hostile.NOISE[:, :, 0])
    header = look(data)
    assert header.is_gray
    picture, space = decode(np.frombuffer(data, np.uint8), header=header, keep_depth=False)
    assert picture.shape == (12, 20)
    assert space is Space.GRAY


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_are_kept_only_where_wanted(extension: str) -> None:
    deep = hostile.NOISE[:, :, 0].astype(np.uint16) * 257
    data = np.frombuffer(hostile.encoded(extension, deep), np.uint8)
    header = look(bytes(data))
    assert header.bits == 16
    kept, _ = decode(data, header=header, keep_depth=True)
    assert (kept == deep).all()
    reduced, _ = decode(data, header=header, keep_depth=False)
    assert reduced.dtype == np.uint8
    assert (reduced == hostile.NOISE[:, :, 0]).all()


def test_alpha_is_dropped_and_palettes_are_resolved() -> None:
    rgba = np.dstack([hostile.NOISE, np.zeros((12, 20), np.uint8)])
    data = hostile.encoded(".png", rgba)
    picture, _ = decode(np.frombuffer(data, np.uint8), header=look(data), keep_depth=False)
    assert (picture == hostile.NOISE[:, :, ::-1]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_opencv_does(orientation: int) -> None:
    data = hostile.with_exif(hostile.encoded(".jpg"), orientation)
    header = look(data)
    assert header.orientation == orientation
    array = np.frombuffer(data, np.uint8)
    picture, space = decode(array, header=header, keep_depth=False)
    ours, _ = apply_chain(picture, upright(orientation), space=space)
    assert (ours == cv2.imdecode(array, cv2.IMREAD_COLOR_RGB)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiff_is_the_decoders_affair(orientation: int) -> None:
    data = hostile.tiff([{256: 3, 257: 2, 274: orientation}], data=bytes(range(6)))
    header = look(data)
    assert header.orientation == 1
    picture, _ = decode(np.frombuffer(data, np.uint8), header=header, keep_depth=False)
    assert picture.shape == ((3, 2) if orientation >= 5 else (2, 3))


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "one-byte": b"\x89",
    "html": b"<html><body>picture.jpg</body></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "ppm": b"P6 60000 60000 255\n",
    "hdr": b"#?RADIANCE\n\n-Y 60000 +X 60000\n",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "avif": b"\0\0\0\x1cftypavif",
    "bigtiff": b"II+\0\x08\0\0\0" + bytes(20),
    "png-without-data": hostile.png(32_000, 32_000),
    "png-2^30": hostile.png(2**30, 2**30),
    "png-2^32-1": hostile.png(2**32 - 1, 2**32 - 1),
    "png-65536x65537": hostile.png(65_536, 65_537),
    "png-0": hostile.png(0, 5),
    "png-colour-type-5": hostile.png(2, 2, colour=5, data=bytes(50)),
    "png-bits-3": hostile.png(2, 2, bits=3, data=bytes(50)),
    "png-bad-crc": SOUND[FileFormat.PNG].replace(b"IHDR\0\0\0\x14", b"IHDR\0\0\0\x13"),
    "png-only-signature": b"\x89PNG\r\n\x1a\n",
    "png-chunk-beyond-end": SOUND[FileFormat.PNG][:-20],
    "jpeg-height-0": hostile.jpeg_of_sides(9, 0),
    "jpeg-without-end": SOUND[FileFormat.JPEG][:-2],
    "jpeg-cut-in-header": SOUND[FileFormat.JPEG][:30],
    "jpeg-arithmetic": SOUND[FileFormat.JPEG].replace(b"\xff\xc0", b"\xff\xc9"),
    "jpeg-lossless": SOUND[FileFormat.JPEG].replace(b"\xff\xc0", b"\xff\xc3"),
    "jpeg-no-picture": b"\xff\xd8\xff\xd9" + bytes(12),
    "bmp-rle8": hostile.bmp(20_000, 20_000, bits=8, compression=1, data=bytes(1024) + b"\0\1"),
    "bmp-sides": hostile.bmp(0x7FFFFFFF, 0x7FFFFFFF),
    "bmp-bits-40": hostile.bmp(2, 2, bits=40, data=bytes(99)),
    "bmp-short": hostile.bmp(2000, 2000, data=bytes(100)),
    "bmp-least-height": hostile.bmp(1, -(2**31)),
    "gif-cut": SOUND[FileFormat.GIF][:100],
    "gif-no-frame": hostile.gif(3, 3, frames=0),
    "tiff-no-page": b"II*\0\0\0\0\0",
    "tiff-ring": hostile.tiff([{256: 3, 257: 2}], loop=True),
    "tiff-float": hostile.tiff([{256: 3, 257: 2, 339: 3, 258: 16}]),
    "tiff-jpeg": hostile.tiff([{256: 3, 257: 2, 259: 7}]),
    "tiff-huge-tile": hostile.tiff([{256: 3, 257: 2, 322: 60_000, 323: 60_000}]),
    "webp-cut": SOUND[FileFormat.WEBP][:40],
    "webp-wrong-chunk": SOUND[FileFormat.WEBP].replace(b"VP8L", b"VP9 "),
}
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "png-zeros": lambda: hostile.png_of_zeros(10_000, 10_000),
    "png-1-bit": lambda: hostile.png_of_zeros(30_000, 30_000, bits=1, colour=0),
    "jpeg-65500": lambda: hostile.jpeg_of_sides(65_500, 65_500),
    "jpeg-scans": lambda: hostile.jpeg_of_scans(65),
    "webp-lossless": lambda: hostile.webp_lossless_header(12_000, 12_000),
    "tiff-one-page": lambda: hostile.tiff([{256: 20_000, 257: 20_000}]),
    "tiff-many-pages": lambda: hostile.tiff([{256: 3000, 257: 3000}] * 100),
    "gif-frames-summed": lambda: hostile.gif(2000, 2000, frames=300),
    "apng-frames-summed": lambda: hostile.png(
        4000, 4000, data=bytes(2**17), extra=hostile.chunk(b"acTL", struct.pack(">II", 40, 0))
    ),
    "png-profile": lambda: hostile.png(
        2, 2, data=bytes(50), extra=hostile.chunk(b"iCCP", bytes(9_000_000))
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_is_refused(name: str) -> None:
    with pytest.raises(BadPicture):
        look(MALFORMED[name])


@pytest.mark.parametrize("name", TOO_LARGE)
def test_too_large_is_refused_by_the_header(name: str) -> None:
    with pytest.raises(PictureTooLarge):
        look(TOO_LARGE[name]())


@pytest.mark.parametrize("name", [*MALFORMED, "jpeg-65500", "webp-lossless", "tiff-many-pages"])
def test_refusing_costs_next_to_nothing(name: str) -> None:
    """A millisecond is the aim; the bound leaves room for a busy machine."""
    data = MALFORMED.get(name) or TOO_LARGE.get(name, bytes)()
    durations = []
    for _ in range(5):
        begun = time.thread_time()
        with pytest.raises((BadPicture, PictureTooLarge)):
            look(data)
        durations.append(time.thread_time() - begun)
    assert min(durations) < 0.005


def test_scans_up_to_the_limit_are_read() -> None:
    assert look(hostile.jpeg_of_scans(64)).width == 20


def test_rows_from_the_top_of_a_bmp_are_accepted() -> None:
    assert look(hostile.bmp(2, -3, data=bytes(24))).height == 3


def test_declared_format_must_match() -> None:
    with pytest.raises(BadPicture, match="declared as jpeg and is png"):
        look(SOUND[FileFormat.PNG], declared=FileFormat.JPEG)


@pytest.mark.parametrize("kind", [k for k in FileFormat if k is not FileFormat.TIFF])
def test_a_tail_is_bounded(kind: FileFormat) -> None:
    look(SOUND[kind] + bytes(64 * 1024))
    with pytest.raises(BadPicture, match="follow the end of the picture"):
        look(SOUND[kind] + bytes(64 * 1024 + 2))


def test_a_thumbnail_inside_a_segment_is_no_scan() -> None:
    thumbnail = hostile.encoded(".jpg")
    data = SOUND[FileFormat.JPEG]
    data = data[:2] + hostile.segment(0xE2, b"\xff\xda" * 100 + thumbnail) + data[2:]
    assert look(data).width == 20


def test_a_marker_across_two_blocks_is_found() -> None:
    big = np.random.default_rng(3).integers(0, 256, (600, 700, 3), np.uint8)
    data = hostile.encoded(".jpg", big)
    assert len(data) > 3 * 64 * 1024
    for cut in range(4):
        padded = data[:2] + hostile.segment(0xFE, bytes(cut)) + data[2:]
        assert look(padded).height == 600


@pytest.mark.parametrize("kind", FileFormat)
@given(data=st.data())
def test_no_mutation_gets_past_but_as_a_refusal(kind: FileFormat, data: st.DataObject) -> None:
    """Flipped, cut and doubled bytes: read, or refused with one of the two errors."""
    mutated = bytearray(SOUND[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(mutated), 200) - 1))
        mutated[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(mutated)))
    try:
        header = look(bytes(mutated[:cut] if data.draw(st.booleans()) else mutated))
    except (BadPicture, PictureTooLarge):
        return
    assert 0 < header.width * header.height <= LIMITS.max_pixels
    assert header.decode_bytes <= LIMITS.max_pixels * 20
