"""Encoders against aiortc's own, on the same pictures: CPU, bitrate and what the fit then sees.

    python tests/bench/bench_circle_encoders.py [--frames 90] [--json]

The baseline of every scene and codec is aiortc's encoder as it comes, asked for the same bitrate
as ours. CPU time per frame, of all threads; RMSE of the disc fit on the decoded frames,
two-dimensional; bitrate as it came out. Only ratios within one run mean anything.
"""

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder as StockH264
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import Vp8Encoder as StockVp8
from aiortc.codecs.vpx import vp8_depayload

from bench.kept import keep
from fakes.balls import Scene, errors, path, render
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.settings import Quality, encoder_settings
from podstream_workloads.media.encoders.vp8 import Vp8Encoder

STOCK = "aiortc (baseline)"
QUALITIES: tuple[Quality, ...] = ("Accuracy", "Balanced", "Speed")
SCENES = {
    "640x480 r40": Scene(),
    "1280x720 r40": Scene(width=1280, height=720),
    "1280x720 r8": Scene(width=1280, height=720, radius=8),
    "1920x1080 r40": Scene(width=1920, height=1080),
    "contrast 17": Scene(color=(33, 128, 128)),
    "contrast 7": Scene(color=(23, 128, 128)),
    "hue only": Scene(background=(120, 128, 128), color=(120, 90, 160)),
    "gradient": Scene(slope=100, background=(80, 128, 128), color=(160, 54, 34)),
    "20 px/frame, shutter 0.5": Scene(speed=(16, 12), shutter=0.5),
    "noise 10": Scene(noise=10),
}


def encoders(codec: str, scene: Scene) -> dict[str, Any]:
    """The baseline and ours, one per quality."""
    made: dict[str, Any] = {STOCK: StockH264() if codec == "H264" else StockVp8()}
    made[STOCK].target_bitrate = 1_000_000
    kind: Callable[..., Any] = H264Encoder if codec == "H264" else Vp8Encoder
    for quality in QUALITIES:
        settings = encoder_settings(
            quality=quality, width=scene.width, height=scene.height, fps=30, max_kbps=2000
        )
        made[quality] = kind(settings)
        made[quality].target_bitrate = 1_000_000
    return made


def measure(scene: Scene, codec: str, frames: int) -> dict[str, Any]:
    """CPU, bitrate and error of every encoder over one clip."""
    rng, rows = np.random.default_rng(1), {}
    places = list(path(scene, frames, seed=5))
    pictures = [render(scene, *place, rng=rng) for place in places]
    join = h264_depayload if codec == "H264" else vp8_depayload
    for name, encoder in encoders(codec, scene).items():
        decoder: Any = av.CodecContext.create("h264" if codec == "H264" else "vp8", "r")
        tracker, pairs, bits, cpu = DiscTracker(), [], 0, 0.0
        for index, (place, picture) in enumerate(zip(places, pictures, strict=True)):
            picture.pts, picture.time_base = 3000 * index, Fraction(1, 90_000)
            begun = time.process_time()
            payloads, _ = encoder.encode(picture)
            cpu += time.process_time() - begun
            data = b"".join(join(payload) for payload in payloads)
            bits += 8 * len(data)
            for decoded in decoder.decode(av.Packet(data)):
                ball = tracker.find(decoded)
                pairs.append((place, None if ball is None else (ball.x, ball.y)))
        seen = errors(pairs)
        rows[name] = {
            "cpu_ms": round(cpu / frames * 1e3, 3),
            "kbps": round(bits / frames * 30 / 1e3),
            "rmse_px": round(seen.rmse, 4),
            "missed": seen.missed,
        }
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--json", action="store_true", help="keep the figures under results/")
    parser.add_argument("--scene", choices=tuple(SCENES), action="append")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.scene or SCENES:
        for codec in ("VP8", "H264"):
            rows = measure(SCENES[name], codec, arguments.frames)
            results[f"{name}, {codec}"] = rows
            base = rows[STOCK]
            print(f"\n{name}, {codec}, 1 Mbit/s asked", flush=True)
            for kind, row in rows.items():
                print(
                    f"  {kind:18} {row['cpu_ms'] / base['cpu_ms']:5.2f} x CPU"
                    f" {row['kbps']:7} kbit/s  rmse {row['rmse_px']:7.4f} px"
                    f" ({base['rmse_px'] / row['rmse_px']:5.1f} x better)  missed {row['missed']}",
                    flush=True,
                )
    if arguments.json:
        keep(__file__, results, is_part=bool(arguments.scene))


if __name__ == "__main__":
    main()
