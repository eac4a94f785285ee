"""Image operations against a warm copy of the same picture, and codecs against decode alone.

    python tests/bench/bench_image_ops.py [--rounds 9] [--json]

The baseline of every line is `numpy.copyto` into a warm array of the same 12 megapixel colour
picture, measured in the same run; `numpy` and `OpenCV` lines show what the plain way costs. CPU
time of one thread, best of the rounds: only ratios within one run mean anything.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from podstream_workloads.imageops.codec import encode
from podstream_workloads.imageops.operations.blur import gaussian, mean
from podstream_workloads.imageops.operations.geometry import resize, rotate, turn
from podstream_workloads.imageops.operations.values import (
    Border,
    Gaussian,
    Mean,
    Resize,
    RotateDegrees,
)
from podstream_workloads.imageops.output import Output, OutputFormat

HEIGHT, WIDTH = 3000, 4000


def best_ms(work: Callable[[], Any], rounds: int) -> float:
    """Least CPU time of a call, milliseconds, after one to warm up."""
    work()
    times = []
    for _ in range(rounds):
        begun = time.thread_time()
        work()
        times.append(time.thread_time() - begun)
    return min(times) * 1e3


def plain_existing_mean(picture: Any) -> Any:
    """The mean over existing neighbours by sums and counts, as one would write it in numpy."""
    padded = np.pad(picture.astype(np.uint16), ((1, 1), (1, 1), (0, 0)))
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    sums = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    down = np.full(HEIGHT, 3, np.uint16)
    across = np.full(WIDTH, 3, np.uint16)
    down[[0, -1]] = across[[0, -1]] = 2
    return (sums // np.outer(down, across)[:, :, None]).astype(np.uint8)


def lines(rounds: int) -> dict[str, float]:
    """Milliseconds of each operation."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    smooth = np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
    picture = cv2.add(smooth, rng.integers(0, 8, smooth.shape, np.uint8))
    out, upright = np.empty_like(picture), np.empty((WIDTH, HEIGHT, 3), np.uint8)
    jpeg = encode(picture, Output(format=OutputFormat.JPEG))
    work: dict[str, Callable[[], Any]] = {
        "copy to a warm array (baseline)": lambda: np.copyto(out, picture),
        "turn by 180 degrees": lambda: turn(picture, quarters=2, out=out),
        "turn by 90 degrees": lambda: turn(picture, quarters=1, out=upright),
        "  numpy.rot90": lambda: np.ascontiguousarray(np.rot90(picture)),
        "  cv2.rotate": lambda: cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE, dst=upright),
        "mean 3x3 over existing neighbours": lambda: mean(picture, Mean(), out=out),
        "  numpy sums and counts": lambda: plain_existing_mean(picture),
        "mean 3x3, reflected border": lambda: mean(
            picture, Mean(border=Border.REFLECT_101), out=out
        ),
        "mean 9x9, reflected border": lambda: mean(
            picture, Mean(width=9, height=9, border=Border.REFLECT_101), out=out
        ),
        "gaussian, sigma 2": lambda: gaussian(picture, Gaussian(sigma=2)),
        "resize to a half": lambda: resize(picture, Resize(width=WIDTH // 2)),
        "rotate by 10 degrees": lambda: rotate(picture, RotateDegrees(degrees=10)),
        "decode jpeg": lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB),
        "encode jpeg": lambda: encode(picture, Output(format=OutputFormat.JPEG)),
        "encode png": lambda: encode(picture, Output(format=OutputFormat.PNG)),
    }
    return {name: best_ms(call, rounds) for name, call in work.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    measured = lines(arguments.rounds)
    baseline = next(iter(measured.values()))
    if arguments.json:
        print(json.dumps({name: round(ms / baseline, 2) for name, ms in measured.items()}))
        return
    print(f"{WIDTH}x{HEIGHT} RGB, {WIDTH * HEIGHT * 3 / 1e6:.0f} MB, OpenCV {cv2.__version__}")
    for name, ms in measured.items():
        print(f"{name:36} {ms:8.1f} ms {ms / baseline:7.2f} x")


if __name__ == "__main__":
    main()
