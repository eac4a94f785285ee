"""Estimators on the same decoded frames: CPU and error against OpenCV's circle transform.

    python tests/bench/bench_circle_estimators.py [--frames 200] [--scenes] [--only NAME] [--json]

The baseline is stock `cv2.HoughCircles` as the original calls it (colour conversion, dp 5.845,
minDist 5); beside it stand the transform with dp 1 and a known radius, and the centre of gravity.
CPU time of one thread, median over the frames; errors over hits, two-dimensional; a miss is no
estimate or an error above 10 px. Only ratios within one run mean anything.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import av
import cv2
import numpy as np
from av import VideoFrame

from bench.kept import keep
from fakes.balls import Finder, Scene, errors, path, polygon, render
from podstream_workloads.circle.estimators import (
    BallEstimator,
    DiscFitEstimator,
    MomentsEstimator,
    luma,
)
from podstream_workloads.discfit import plain
from podstream_workloads.discfit.backend import Backend
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.discfit.values import Limits

HOUGH = "HoughCircles, stock (baseline)"
SPEED = {
    "1920x1080 r40": Scene(width=1920, height=1080),
    "1920x1080 r120": Scene(width=1920, height=1080, radius=120),
    "3840x2160 r60": Scene(width=3840, height=2160, radius=60),
}
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
    **{
        f"noise {noise}, r{radius}": Scene(noise=noise, radius=radius, color=(145, 128, 128))
        for noise, radius in ((2, 40), (10, 40), (20, 40), (10, 8))
    },
}
EMPTY = "without a ball"
CUT = "cut by the border"
"""The centre goes along the upper border, 0.4 radii below it."""
SCENES[CUT] = Scene()


def bound(scene: Scene) -> float | None:
    """Least RMSE, px, that white noise allows: sqrt(2 / (pi r G)) s/A, G 0.96 for a sharp edge.

    For balls without colour in noise only; s includes the rounding to whole grey levels.
    """
    if not scene.noise:
        return None
    contrast = abs(scene.color[0] - scene.background[0])
    deviation = math.hypot(scene.noise, math.sqrt(1 / 12))
    return math.sqrt(2 / (math.pi * scene.radius * 0.96)) * deviation / contrast


def _encoder(codec: str, scene: Scene) -> Any:
    """A codec with the options that aiortc 1.16 sets, at 1 Mbit/s."""
    made: Any = av.CodecContext.create("libvpx" if codec == "VP8" else "libx264", "w")
    made.width, made.height, made.pix_fmt = scene.width, scene.height, "yuv420p"
    made.bit_rate, made.thread_count = 1_000_000, 1
    made.framerate, made.time_base = Fraction(30), Fraction(1, 30)
    if codec == "VP8":
        made.gop_size, made.qmin, made.qmax = 3000, 2, 56
        made.options = {
            "cpu-used": "-6",
            "deadline": "realtime",
            "noise-sensitivity": "4",
            "static-thresh": "1",
            "lag-in-frames": "0",
            "error-resilient": "1",
        }
    else:
        made.profile = "Baseline"
        made.options = {"level": "31", "tune": "zerolatency"}
    return made


def places(name: str, scene: Scene, frames: int) -> Iterator[tuple[float, float]]:
    """Where the ball is, frame by frame."""
    for x, y in path(scene, frames, seed=3):
        yield x, (0.4 * scene.radius if name == CUT else y)


def clip(
    codec: str, scene: Scene, frames: int, *, name: str = ""
) -> Iterator[tuple[tuple[float, float], VideoFrame]]:
    """Places and pictures, as drawn (`raw`) or as a receiver of stock aiortc decodes them."""
    rng = np.random.default_rng(1)
    decoder: Any = av.CodecContext.create("vp8" if codec == "VP8" else "h264", "r")
    encoder = None if codec == "raw" else _encoder(codec, scene)
    for index, place in enumerate(places(name, scene, frames)):
        frame = render(scene, *place, rng=rng)
        frame.pts, frame.time_base = index, Fraction(1, 30)
        if encoder is None:
            yield place, frame
            continue
        for packet in encoder.encode(frame):
            for decoded in decoder.decode(av.Packet(bytes(packet))):
                decoded.pts = index
                yield place, decoded


def hough(frame: VideoFrame) -> tuple[float, float] | None:
    """The original's call."""
    gray = cv2.cvtColor(frame.to_ndarray(format="bgr24"), cv2.COLOR_BGR2GRAY)
    return _first(cv2.HoughCircles(gray, cv2.HOUGH_GRADIENT, 5.845, 5))


def tuned_hough(radius: float) -> Finder:
    """Dp 1, blur and a radius within 30 %."""

    def find(frame: VideoFrame) -> tuple[float, float] | None:
        gray = cv2.GaussianBlur(np.ascontiguousarray(luma(frame)), (7, 7), 0)
        least, most = int(0.7 * radius), int(1.3 * radius)
        return _first(
            cv2.HoughCircles(
                gray,
                cv2.HOUGH_GRADIENT,
                1,
                50,
                param1=60,
                param2=20,
                minRadius=least,
                maxRadius=most,
            )
        )

    return find


def _first(circles: Any) -> tuple[float, float] | None:
    if circles is None:
        return None
    first = circles.reshape(-1, circles.shape[-1])[0]
    return float(first[0]), float(first[1])


def _anew(make: Callable[[], BallEstimator]) -> Finder:
    return lambda frame: make().estimate(frame)


def finders(radius: float, *, with_numpy: bool) -> dict[str, Finder]:
    """What is compared, each with its own state."""
    slow = DiscTracker(backend=cast(Backend, plain))

    def in_numpy(frame: VideoFrame) -> tuple[float, float] | None:
        ball = slow.find(frame)
        return None if ball is None else (ball.x, ball.y)

    found = {
        HOUGH: hough,
        "HoughCircles, dp 1, radius known": tuned_hough(radius),
        "Moments": MomentsEstimator().estimate,
        "DiscFit, full frame": _anew(DiscFitEstimator),
        "DiscFit, tracked": DiscFitEstimator().estimate,
    }
    if with_numpy:
        found["DiscFit, tracked, numpy form"] = in_numpy
    return found


def measure(
    scene: Scene, codec: str, frames: int, *, with_numpy: bool = False, name: str = ""
) -> dict[str, Any]:
    """CPU and error of every estimator over one clip."""
    table = finders(scene.radius, with_numpy=with_numpy)
    times: dict[str, list[float]] = {name: [] for name in table}
    pairs: dict[str, list[Any]] = {name: [] for name in table}
    for place, frame in clip(codec, scene, frames, name=name):
        for title, find in table.items():
            begun = time.thread_time()
            found = find(frame)
            times[title].append(time.thread_time() - begun)
            pairs[title].append((place, found))
    base = statistics.median(times[HOUGH])
    rows = {}
    for title in table:
        cpu, seen = statistics.median(times[title]), errors(pairs[title])
        rows[title] = {
            "cpu_ms": round(cpu * 1e3, 4),
            "times_cheaper": round(base / cpu, 1),
            "rmse_px": None if math.isnan(seen.rmse) else round(seen.rmse, 4),
            "missed": seen.missed,
            "frames": seen.frames,
        }
    return rows


def false_alarms() -> dict[str, Any]:
    """Of 600 pictures without a ball, in which estimators see one: 100 clips of 6."""
    known = Limits(28, 52, (145, 54, 34))
    alarms = {"DiscFit, size and colour known": 0, "DiscFit": 0, "Moments": 0, HOUGH: 0}
    rng = np.random.default_rng(9)
    for clip_of in range(100):
        makers: dict[str, Finder] = {
            "DiscFit, size and colour known": DiscFitEstimator(known).estimate,
            "DiscFit": DiscFitEstimator().estimate,
            "Moments": MomentsEstimator().estimate,
            HOUGH: hough,
        }
        for _ in range(6):
            frame = _empty(clip_of, rng)
            for title, find in makers.items():
                alarms[title] += find(frame) is not None
    return {title: {"alarms": count, "frames": 600} for title, count in alarms.items()}


def _empty(kind: int, rng: np.random.Generator) -> VideoFrame:
    """Flat, noise, a slope, or a polygon of 3 to 8 corners."""
    corners = kind % 10
    if corners < 3:
        scene = (Scene(), Scene(noise=8), Scene(slope=150, background=(100, 128, 128)))[corners]
        return render(replace(scene, radius=1), -500, -500, rng=rng)
    if corners == 9:
        return render(replace(Scene(noise=20), radius=1), -500, -500, rng=rng)
    x, y, turn = rng.uniform(80, 560), rng.uniform(80, 400), rng.uniform(0, math.pi)
    return polygon(Scene(color=(81, 90, 240)), corners, x, y, turn=turn)


def speed(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """CPU of every estimator, size by size."""
    for name, scene in SPEED.items():
        if not arguments.only or name in arguments.only:
            rows = measure(scene, "VP8", arguments.frames, with_numpy=True)
            yield f"speed, {name}, VP8", rows


def scenes(frames: int, only: list[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Error and misses of every estimator, scene by scene and codec by codec."""
    for name, scene in SCENES.items():
        if only and name not in only:
            continue
        for codec in ("raw", "VP8", "H264"):
            rows = {
                title: {key: row[key] for key in ("rmse_px", "missed", "frames")}
                for title, row in measure(scene, codec, frames, name=name).items()
            }
            least = bound(scene) if codec == "raw" else None
            if least is not None:
                rows["the bound"] = {"rmse_px": round(least, 4)}
            yield f"{name}, {codec}", rows
    if not only or EMPTY in only:
        yield EMPTY, false_alarms()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument(
        "--scenes", action="store_true", help="accuracy over scenes instead of speed"
    )
    parser.add_argument("--only", choices=(*SPEED, *SCENES, EMPTY), action="append")
    parser.add_argument("--json", action="store_true", help="keep the figures under results/")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    chosen = scenes(arguments.frames, arguments.only) if arguments.scenes else speed(arguments)
    for title, rows in chosen:
        print(f"\n{title} (stock aiortc encoder options)")
        for name, row in rows.items():
            print(f"  {name:34} " + "  ".join(f"{key} {value}" for key, value in row.items()))
        sys.stdout.flush()
        if arguments.json:
            keep(__file__, {title: rows}, is_part=True)


if __name__ == "__main__":
    main()
