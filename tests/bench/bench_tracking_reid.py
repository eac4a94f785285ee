"""Descriptors: rank-1 of altered copies, and the cost of one.

    python tests/bench/bench_tracking_reid.py [--people 100] [--json]

Rendered people in random colours; each altered copy is looked for among all originals. The
baseline is a histogram of hue, saturation and value in three stripes, by correlation.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.kept import keep
from podstream_workloads.tracking.edge.descriptor import describe
from podstream_workloads.tracking.edge.detectors.base import Picture
from tracking.scenes.crops import ALTERED, LEAST, people

Floats = NDArray[np.float32]


def own(image: Picture) -> Floats:
    """The descriptor of a crop."""
    vector = describe(image, (0.0, 0.0, float(image.shape[1]), float(image.shape[0])))
    if vector is None:
        raise ValueError("the crop is too small")
    return vector


def three_stripes(image: Picture) -> Floats:
    """The baseline."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    parts = []
    for stripe in np.array_split(hsv, 3, axis=0):
        table = cv2.calcHist([stripe], [0, 1, 2], None, [8, 4, 4], [0, 180, 0, 256, 0, 256])
        parts.append(np.asarray(table, dtype=np.float32).ravel())
    vector = np.concatenate(parts)
    vector -= vector.mean()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)


def rank_1(look: Callable[[Picture], Floats], originals: list[Picture], altered: str) -> float:
    """Part of altered copies whose nearest original is their own."""
    known = np.stack([look(one) for one in originals])
    seen = np.stack([look(ALTERED[altered](one)) for one in originals])
    return float(np.mean((seen @ known.T).argmax(axis=1) == np.arange(len(originals))))


def cost_ms(look: Callable[[Picture], Floats], originals: list[Picture]) -> float:
    """CPU of one look."""
    began = time.thread_time()
    for one in originals:
        look(one)
    return 1e3 * (time.thread_time() - began) / len(originals)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="keep the results")
    options = parser.parse_args()
    originals = people(options.people)
    results: dict[str, Any] = {}
    print(f"{'altered':<16} {'rank-1':>7} {'3 stripes':>9} {'target':>7}")
    for altered, least in LEAST.items():
        mine, baseline = (rank_1(look, originals, altered) for look in (own, three_stripes))
        results[altered] = {"rank_1": mine, "baseline": baseline, "target": least}
        print(f"{altered:<16} {mine:>7.2f} {baseline:>9.2f} {least:>7.2f}")
    mine, baseline = cost_ms(own, originals), cost_ms(three_stripes, originals)
    results["cost"] = {"ms": mine, "ratio": mine / baseline}
    print(f"CPU of one look {mine:.3f} ms, {mine / baseline:.2f}x of the baseline's")
    if options.json:
        keep(__file__, results)


if __name__ == "__main__":
    main()
