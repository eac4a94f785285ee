"""What a picture costs that a stream shows by WebRTC, with 1, 10 and 100 viewers.

    python tests/bench/bench_stream_view.py [--frames 90] [--json]

The workload's own programme (one encoder per codec) at 30 frames a second, 640x480, its pictures
taken by so many viewers' tracks; CPU of the process per picture that a viewer has taken, packets
cut, up to where aiortc encrypts and sends them.

Baseline: an encoder for each viewer, as aiortc makes them, with the same settings and frames. What
comes behind (SRTP, UDP) is the same in both and left out. MJPEG and raw viewers: bench_stream.py.
"""

import argparse
import asyncio
import json
import time
from fractions import Fraction
from itertools import islice

import av

from podstream_core.api import Codec
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.settings import encoder_settings
from podstream_workloads.media.encoders.vp8 import Vp8Encoder
from podstream_workloads.stream.pattern import pattern
from podstream_workloads.stream.webrtc.programme import PictureTrack, Programme

SIZE = (640, 480)
FPS = 30
VIEWERS = (1, 10, 100)
SETTINGS = encoder_settings(quality="Balanced", width=SIZE[0], height=SIZE[1], fps=FPS)
ENCODERS: dict[Codec, type[BudgetEncoder]] = {Codec.H264: H264Encoder, Codec.VP8: Vp8Encoder}


async def shared(codec: Codec, viewers: int, count: int) -> dict[str, float]:
    """Everybody looks at one programme."""
    frames = list(islice(pattern(*SIZE), FPS))
    programme = Programme(codec, settings=SETTINGS)
    tracks = [PictureTrack() for _ in range(viewers)]
    taken = 0

    async def take(track: PictureTrack) -> None:
        nonlocal taken
        while True:
            await track.recv()
            taken += 1

    taking = [asyncio.create_task(take(track)) for track in tracks]
    for track in tracks:
        programme.add(track)
    begun, cpu = time.monotonic(), time.process_time()
    for number in range(count):
        programme.show(frames[number % len(frames)])
        await asyncio.sleep(max(begun + (number + 1) / FPS - time.monotonic(), 0))
    await programme.close()
    cpu = time.process_time() - cpu
    for task in taking:
        task.cancel()
    await asyncio.wait(taking)
    return {
        "cpuUsPerPicture": cpu / max(taken, 1) * 1e6,
        "delivered": taken / (viewers * count),
        "encoded": float(programme.encoded),
    }


def alone(codec: Codec, count: int) -> dict[str, float]:
    """One viewer's own encoder; each further viewer costs the same again."""
    frames = list(islice(pattern(*SIZE), FPS))
    encoder = ENCODERS[codec](SETTINGS)
    encoder.target_bitrate = SETTINGS.max_bitrate
    begun = time.process_time()
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(frames[number % len(frames)], format="bgr24")
        frame.pts, frame.time_base = number * 90_000 // FPS, Fraction(1, 90_000)
        encoder.encode(frame)
    return {"cpuUsPerPicture": (time.process_time() - begun) / count * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for codec in Codec:
        baseline = alone(codec, options.frames)
        found[f"{codec} baseline, an encoder for each"] = baseline
        for viewers in VIEWERS:
            values = asyncio.run(shared(codec, viewers, options.frames))
            values["ratio"] = values["cpuUsPerPicture"] / baseline["cpuUsPerPicture"]
            found[f"{codec} {viewers} viewers"] = values
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, values in found.items():
        words = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
        print(f"{name:36} {words}")


if __name__ == "__main__":
    main()
