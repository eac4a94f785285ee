"""What a recorded frame and a delivered picture cost in CPU.

    python tests/bench/bench_stream.py [--frames 150] [--json]

Recording: the recording thread's work (conversion, encoder, file) on the moving test pattern, CPU
of the whole process per frame. Viewing: the workload's own viewing code at 30 frames a second with
1, 10 and 100 viewers, which another process reads; CPU of the sending process per picture that has
arrived. Pictures are made once, whoever looks.

Baselines: `cv2.VideoWriter`, with which the original server records, and a JPEG made for each
viewer by itself.
"""

import argparse
import asyncio
import json
import multiprocessing
import selectors
import socket
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from podstream_core.agentapi import Protocol
from podstream_core.api import RecordingCodec
from podstream_core.names import MJPEG_BOUNDARY as BOUNDARY
from podstream_workloads.stream.pattern import pattern
from podstream_workloads.stream.recording.segment import Segment
from podstream_workloads.stream.viewing import Viewing, encode_part

SIZES = ((640, 480), (1280, 720))
VIEWERS = {Protocol.MJPEG: (1, 10, 100), Protocol.VIEW: (1, 10)}
FPS = 30


def recording(codec: RecordingCodec, size: tuple[int, int], count: int) -> dict[str, float]:
    frames = list(islice(pattern(*size), count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        segment = Segment(path, codec=codec, width=size[0], height=size[1])
        begun = time.process_time()
        for number, frame in enumerate(frames):
            segment.write(frame, at=number / FPS)
        whole = segment.finish()
        cpu = time.process_time() - begun
    return {"cpuMsPerFrame": cpu / count * 1e3, "bytesPerFrame": whole.bytes / count}


def opencv_recording(fourcc: str, size: tuple[int, int], count: int) -> dict[str, float]:
    frames = list(islice(pattern(*size), count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.avi"
        code = cv2.VideoWriter.fourcc(*fourcc)
        writer = cv2.VideoWriter(str(path), code, FPS, size)
        assert writer.isOpened()
        begun = time.process_time()
        for frame in frames:
            writer.write(frame)
        writer.release()
        cpu = time.process_time() - begun
        size_bytes = path.stat().st_size
    return {"cpuMsPerFrame": cpu / count * 1e3, "bytesPerFrame": size_bytes / count}


def jpeg_alone(count: int) -> dict[str, float]:
    frames = list(islice(pattern(*SIZES[0]), count))
    begun = time.process_time()
    for frame in frames:
        encode_part(frame)
    return {"cpuUsPerPicture": (time.process_time() - begun) / count * 1e6}


def _read(ends: list[socket.socket], result: Any) -> None:
    """Read everything that comes until all have ended; the pictures of MJPEG, else the bytes."""
    with selectors.DefaultSelector() as selector:
        for end in ends:
            end.setblocking(False)
            selector.register(end, selectors.EVENT_READ)
        pictures = received = 0
        mark = f"--{BOUNDARY}".encode()
        while selector.get_map():
            for key, _ in selector.select():
                data = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
                if not data:
                    selector.unregister(key.fileobj)
                pictures += data.count(mark)
                received += len(data)
    result.send((pictures, received))


async def viewing(protocol: Protocol, viewers: int, count: int) -> dict[str, float]:
    width, height = SIZES[0]
    pairs = [socket.socketpair() for _ in range(viewers)]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    result, sent = multiprocessing.Pipe(duplex=False)
    reader = multiprocessing.get_context("fork").Process(target=_read, args=(theirs, sent))
    reader.start()
    for sock in theirs:
        sock.close()
    shown = Viewing(width * height * 3)
    serving = []
    for sock in ours:
        sock.setblocking(False)
        serving.append(asyncio.create_task(shown.serve(sock, protocol=protocol)))
    frames = list(islice(pattern(width, height), FPS))
    await asyncio.sleep(0.2)
    begun, cpu = time.monotonic(), time.process_time()
    for number in range(count):
        shown.show(frames[number % len(frames)])
        await asyncio.sleep(max(begun + (number + 1) / FPS - time.monotonic(), 0))
    cpu = time.process_time() - cpu
    for task in serving:
        task.cancel()
    await asyncio.wait(serving)
    await shown.close()
    for sock in ours:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
    pictures, received = await asyncio.to_thread(result.recv)
    reader.join()
    if protocol is Protocol.VIEW:
        pictures = received // (width * height * 3)
    return {
        "cpuUsPerPicture": cpu / max(pictures, 1) * 1e6,
        "delivered": pictures / (viewers * count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for codec in RecordingCodec:
        for size in SIZES:
            name = f"recording {codec} {size[0]}x{size[1]}"
            found[name] = recording(codec, size, options.frames)
    for fourcc in ("XVID", "MJPG"):
        for size in SIZES:
            name = f"baseline cv2 {fourcc} {size[0]}x{size[1]}"
            found[name] = opencv_recording(fourcc, size, options.frames)
    found["baseline JPEG for each viewer"] = jpeg_alone(options.frames)
    for protocol, counts in VIEWERS.items():
        for viewers in counts:
            name = f"viewing {protocol} {viewers}"
            found[name] = asyncio.run(viewing(protocol, viewers, options.frames))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, values in found.items():
        words = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
        print(f"{name:32} {words}")


if __name__ == "__main__":
    main()
