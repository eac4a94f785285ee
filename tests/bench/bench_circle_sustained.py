"""1920x1080 at 120 and 3840x2160 at 30 frames/s, H264: frames that were skipped, and why.

    python tests/bench/bench_circle_sustained.py [--seconds 10] [--only TITLE] [--json]

Sustained means `--seconds 60` and at most 1 % skipped. Where that is missed, the stages of a frame
say what takes the time: a frame may take 8.3 ms and 33.3 ms. Baseline in the same run: the
stock pair (see `circle_pair`), asked for the same.
"""

import argparse

from bench.circle_pair import Figures, Kind, Run, measure
from bench.kept import keep

ASKED = {"1920x1080 at 120": (1920, 1080, 120), "3840x2160 at 30": (3840, 2160, 30)}
KINDS: tuple[Kind, ...] = ("stock", "podstream")


def line(name: str, figures: Figures, base: Figures) -> str:
    """One pair; its answered frames against the baseline's."""
    stages = ", ".join(f"{stage} {ms:.2f}" for stage, ms in figures.stages_ms.items())
    return (
        f"  {name:10} {figures.sent / figures.asked:6.1%} of the frames sent,"
        f" {figures.fps:6.1f} fps answered ({figures.fps / max(base.fps, 0.01):4.1f} x stock)"
        f"  CPU {figures.send_cpu_ms:6.2f} + {figures.receive_cpu_ms:6.2f} ms"
        f"  p95 {figures.p95_ms:7.1f} ms" + (f"  \n{'':12} a frame, ms: {stages}" if stages else "")
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--quality", choices=("Accuracy", "Balanced", "Speed"), default="Speed")
    parser.add_argument("--json", action="store_true", help="keep the figures under results/")
    parser.add_argument("--only", choices=tuple(ASKED), action="append")
    given = parser.parse_args()
    results = {}
    for title in given.only or ASKED:
        width, height, fps = ASKED[title]
        found = {
            kind: measure(
                Run(
                    kind=kind,
                    codec="H264",
                    width=width,
                    height=height,
                    fps=fps,
                    seconds=given.seconds,
                    quality=given.quality,
                )
            )
            for kind in KINDS
        }
        results[title] = {kind: item.to_json() for kind, item in found.items()}
        print(f"\n{title}, H264 {given.quality}", flush=True)
        for kind in KINDS:
            print(line(kind, found[kind], found["stock"]), flush=True)
    if given.json:
        keep(__file__, results, is_part=bool(given.only))


if __name__ == "__main__":
    main()
