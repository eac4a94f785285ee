"""Whole runs over rendered scenes: one id per person, swaps, presence.

    python tests/bench/bench_tracking_tracks.py [--json]

Pictures of 320x240 at 10 frames per second, from motion to tracks with appearance. The baseline is
a naive tracker (best overlap with the last frame, by 0.3) on plain motion without held
backgrounds. Rendered scenes stand in for real clips.
"""

import argparse
from dataclasses import asdict
from typing import Any

from bench.kept import keep
from tracking.scenes.follow import follow, follow_naively
from tracking.scenes.scenes import SCENES


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="keep the results")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    print(
        f"{'scene':<24} {'people':>6} {'tracks':>6} {'naive':>6} {'swaps':>6} {'naive':>6}"
        f" {'ids each':>8} {'presence':>8} {'naive':>6} {'IDF1':>6} {'naive':>6}"
    )
    for name, make in SCENES.items():
        own, naive = follow(make()), follow_naively(make())
        results[name] = {"own": asdict(own), "naive": asdict(naive)}
        print(
            f"{name:<24} {own.people:>6} {own.tracks:>6} {naive.tracks:>6} {own.switches:>6}"
            f" {naive.switches:>6} {own.ids_per_person:>8.2f} {own.presence_f1:>8.3f}"
            f" {naive.presence_f1:>6.3f} {own.idf1:>6.3f} {naive.idf1:>6.3f}"
        )
    print("targets: 6 people one by one are 6 tracks, presence at least 0.97; no swap")
    print("leave and return: the second visit is a new track; re-identification joins them")
    if options.json:
        keep(__file__, results)


if __name__ == "__main__":
    main()
