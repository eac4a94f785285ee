"""Mutated picture files against a whole server, for a quarter of an hour.

Files of every accepted format and of the hostile kinds are changed where it hurts: bytes, whole
fields, lengths, repeated and lost pieces, with the checksums of PNG made right again. Each goes
through the header's checks, a worker and back. Looked at: the status of every call, the time that
a refusal takes, dead workers, the memory of server and workers, and that pictures go on.
PODSTREAM_FUZZ_SECONDS sets another time.
"""

import os
import random
import struct
import time
import zlib
from collections import Counter
from dataclasses import replace

import cv2
import grpc
import numpy as np
import psutil
import pytest

from imageops import hostile
from imageops.server import LIMITS, Images, collect, noise, raw, requests, running
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

SECONDS = float(os.environ.get("PODSTREAM_FUZZ_SECONDS", "900"))
MAX_PIXELS = 4_000_000
LATE_S = 10.0
"""A picture within the bounds takes far less, also on a busy machine."""
MEMORY_BYTES = 256 << 20
CHAIN = [pb.Operation(turn=pb.Turn(quarters=1)), pb.Operation(mean=pb.Mean())]
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
UNBOUNDED = grpc.StatusCode.DATA_LOSS
"""Stands for a result with more pixels than allowed; no server answers it."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(int(SECONDS) + 300)]


def seeds() -> list[bytes]:
    picture = noise(64, 48)
    found = [
        hostile.encoded(f".{ending}", picture)
        for ending in ("png", "jpg", "webp", "tiff", "bmp", "gif")
    ]
    found += [
        hostile.encoded(".png", picture.astype(np.uint16) * 257),
        hostile.encoded(".png", picture[:, :, 0]),
        hostile.encoded(".jpg", picture, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        hostile.encoded(".webp", picture, cv2.IMWRITE_WEBP_QUALITY, 101),
        hostile.with_exif(hostile.encoded(".jpg", picture), 6),
        hostile.png_of_zeros(1500, 1500, bits=1, colour=0),
        hostile.bmp(30, 20, data=bytes(30 * 3 * 20)),
        hostile.tiff([{256: 8, 257: 8}, {256: 8, 257: 8}]),
        hostile.gif(40, 30, frames=3),
        hostile.jpeg_of_scans(60),
    ]
    return found


def mutated(chance: random.Random, files: list[bytes]) -> bytes:
    data = bytearray(chance.choice(files))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = (
            chance.randrange(len(data))
            if chance.random() < 0.5
            else chance.randrange(min(len(data), 128))
        )
        match chance.randrange(8):
            case 0 | 1:
                data[at] = chance.randrange(256)
            case 2:
                data[at] ^= 1 << chance.randrange(8)
            case 3:  # a field that lies
                value = chance.choice((0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
                order = chance.choice("<>")
                kind = "H" if value <= 0xFFFF else "I"
                field = struct.pack(order + kind, value)
                data[at : at + len(field)] = field
            case 4:
                del data[at:]
            case 5:
                end = at + chance.randrange(1, 64)
                data[at:at] = data[at:end] * chance.choice((1, 2, 100))
            case 6:
                del data[at : at + chance.randrange(1, 32)]
            case _:
                data += chance.randbytes(chance.choice((1, 100, 100_000)))
        if not data:
            return b"\0"
    whole = bytes(data)
    return with_checksums(whole) if whole.startswith(b"\x89PNG") else whole


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks, as far as their lengths lead, have the right CRC."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, at)
        end = at + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def outcome(images: Images, data: bytes) -> grpc.StatusCode:
    try:
        result = collect(images.process(requests(data, operations=CHAIN), timeout=30)).result
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK if 0 < result.width * result.height <= MAX_PIXELS else UNBOUNDED


def test_no_file_harms_the_server() -> None:
    seed = int(os.environ.get("PODSTREAM_FUZZ_SEED", str(time.time_ns())))
    print(f"seed {seed}")
    chance = random.Random(seed)
    files = seeds()
    limits = replace(LIMITS, max_pixels=MAX_PIXELS, memory_bytes=MEMORY_BYTES)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    good = noise(16, 16)
    with running(limits) as service, service.channel() as channel:
        images, pool = Images(channel), service.server.pool
        collect(images.process(requests(good.tobytes(), input=raw(good), operations=CHAIN)))
        before = psutil.Process().memory_info().rss
        most = 0
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            data = mutated(chance, files)
            begun = time.monotonic()
            code = outcome(images, data)
            outcomes[code.name] += 1
            took = time.monotonic() - begun
            slowest = max(slowest, took)
            assert code in EXPECTED, (code, data[:4000].hex())
            assert took < LATE_S, (took, data[:4000].hex())
            if sum(outcomes.values()) % 500 == 0:
                sizes = [psutil.Process(pid).memory_info().rss for pid in pool.pids]
                most = max(most, *sizes)
                again = images.process(requests(good.tobytes(), input=raw(good)))
                assert collect(again).data == good.tobytes()
        grown = psutil.Process().memory_info().rss - before
        print(f"{dict(outcomes)}, slowest {slowest:.2f} s, deaths {pool.deaths}")
        print(f"server {grown / 1e6:+.0f} MB, largest worker {most / 1e6:.0f} MB")
        assert pool.deaths == 0
        assert grown < 64 << 20
        assert most < MEMORY_BYTES + (256 << 20), "a worker with everything loaded, and its budget"
        assert outcomes["OK"] > 0
