"""The tracker against ByteTrack of `trackers`, on the same boxes: IDF1 and CPU per frame.

    python tests/bench/bench_tracking_tracker.py [--frames 300] [--json]

People walk through a picture of 1280x720 at 10 frames per second; a tenth of their boxes is
missing, a sixth has a low score, sizes and places wobble, and false boxes come and go. No
appearance is used on either side. The baseline runs in an environment of its own. CPU is of one
thread, median over the frames; only ratios within one run mean anything.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.kept import keep
from podstream_workloads.tracking.edge.detectors.base import Detection
from podstream_workloads.tracking.edge.tracker import Tracker
from podstream_workloads.tracking.metrics import evaluate
from podstream_workloads.tracking.metrics.mot import Rect
from tracking.oracles import ask

PEER = Path(__file__).parent / "peers_bytetrack.py"
WIDTH, HEIGHT, FPS = 1280, 720, 10.0
PEOPLE = (5, 20, 50)

Boxes = dict[int, dict[int, Rect]]


def walks(people: int, frames: int, *, seed: int) -> tuple[Boxes, list[list[list[float]]]]:
    """Truth, and detections as x1, y1, x2, y2, score."""
    rng = np.random.default_rng(seed)
    place = rng.uniform((0, 200), (WIDTH, HEIGHT), (people, 2))
    speed = rng.uniform(30, 110, people) * rng.choice((-1, 1), people)
    tall = rng.uniform(70, 130, people)
    names = np.arange(people)
    truth: Boxes = {}
    given: list[list[list[float]]] = []
    for frame in range(frames):
        place[:, 0] += speed / FPS
        for one in np.flatnonzero((place[:, 0] < -40) | (place[:, 0] > WIDTH + 40)).tolist():
            place[one] = (-40 if speed[one] > 0 else WIDTH + 40), rng.uniform(200, HEIGHT)
            names[one] = names.max() + 1  # whoever comes in is somebody new
        truth[frame + 1], found = {}, []
        for one in range(people):
            x, y = place[one]
            half = 0.2 * tall[one]
            rect = (max(x - half, 0), max(y - tall[one], 0), min(x + half, WIDTH), min(y, HEIGHT))
            if rect[2] - rect[0] < half:
                continue
            truth[frame + 1][int(names[one])] = tuple(map(float, rect))  # type: ignore[assignment]
            if rng.random() < 0.1:
                continue
            score = rng.uniform(0.2, 0.5) if rng.random() < 1 / 6 else rng.uniform(0.6, 1.0)
            wobble = rng.normal(0, 0.02 * tall[one], 4)
            found.append([*(np.array(rect) + wobble).tolist(), float(score)])
        for _ in range(int(rng.poisson(0.2))):
            x, y = rng.uniform((0, 200), (WIDTH, HEIGHT))
            found.append([x, y - 90, x + 40, y, float(rng.uniform(0.3, 0.7))])
        given.append(found)
    return truth, given


def own(frames: list[list[list[float]]]) -> tuple[Boxes, float]:
    """Boxes by id by frame, and milliseconds of CPU per frame."""
    tracker = Tracker()
    result: Boxes = {}
    costs = []
    for index, boxes in enumerate(frames):
        found = [Detection((a, b, c, d), score, "person") for a, b, c, d, score in boxes]
        began = time.thread_time()
        tracks = tracker.update(found, time_s=index / FPS, size=(WIDTH, HEIGHT))
        costs.append(time.thread_time() - began)
        result[index + 1] = {track.track_id: track.rect for track in tracks}
    return result, 1e3 * statistics.median(costs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument(
        "--seed", type=int, default=1000, help="of the walks; 0: those of the tuning"
    )
    parser.add_argument("--json", action="store_true", help="keep the results")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    head = ("people", "IDF1", "of ByteTrack", "switches", "of ByteTrack", "CPU ms", "of ByteTrack")
    print("{:>7} {:>7} {:>13} {:>9} {:>13} {:>7} {:>13}".format(*head))
    for people in PEOPLE:
        truth, given = walks(people, options.frames, seed=options.seed + people)
        ours, our_ms = own(given)
        peer = ask("tracking-bytetrack", PEER, {"fps": FPS, "frames": given})
        theirs = {
            index + 1: {int(number): tuple(rect) for number, rect in boxes.items()}
            for index, boxes in enumerate(peer["frames"])
        }
        mine, other = evaluate(truth, ours), evaluate(truth, theirs)
        row = {
            "idf1": mine.idf1,
            "idf1_ratio": mine.idf1 / other.idf1,
            "switches": mine.switches,
            "baseline_switches": other.switches,
            "cpu_ms": our_ms,
            "cpu_ratio": our_ms / peer["ms"],
        }
        results[f"{people} people"] = row
        print(
            f"{people:>7} {mine.idf1:>7.3f} {row['idf1_ratio']:>12.3f}x {mine.switches:>9}"
            f" {other.switches:>13} {our_ms:>7.3f} {row['cpu_ratio']:>12.2f}x"
        )
    print("targets: IDF1 at least 0.97x, CPU at most 1.0x")
    if options.json:
        keep(__file__, results)


if __name__ == "__main__":
    main()
