"""The whole path, drawing to answer, in two processes: CPU per frame and latency against aiortc's.

    python tests/bench/bench_circle_path.py [--seconds 8] [--codec H264] [--json]

Baseline of every size and codec: what aiortc's examples do (see `circle_pair`), 30 frames/s. Each
pair runs twice, with its estimator and without. Only ratios of one run mean anything.
"""

import argparse

from bench.circle_pair import Figures, Kind, Run, measure
from bench.kept import keep

SIZES = {"640x480": (640, 480), "1280x720": (1280, 720), "1920x1080": (1920, 1080)}
KINDS: tuple[Kind, ...] = ("stock", "podstream")


def line(name: str, figures: Figures, base: Figures) -> str:
    """One pair against the baseline."""
    both = figures.send_cpu_ms + figures.receive_cpu_ms
    of_base = both / (base.send_cpu_ms + base.receive_cpu_ms)
    return (
        f"  {name:24} CPU {figures.send_cpu_ms:7.2f} + {figures.receive_cpu_ms:6.2f} ms"
        f" ({of_base:4.2f} of stock)  p50 {figures.p50_ms:7.1f} ms"
        f" ({figures.p50_ms / base.p50_ms:4.2f})  p95 {figures.p95_ms:7.1f} ms"
        f" ({figures.p95_ms / base.p95_ms:4.2f})  {figures.fps:5.1f} fps"
        f"  rmse {figures.rmse_px:.3f} px\n{'':26} a frame, ms: "
        + ", ".join(f"{stage} {ms:.2f}" for stage, ms in figures.stages_ms.items())
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--codec", choices=("VP8", "H264"), action="append")
    parser.add_argument("--size", choices=tuple(SIZES), action="append")
    parser.add_argument("--quality", choices=("Accuracy", "Balanced", "Speed"), default="Balanced")
    parser.add_argument("--json", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    results = {}
    for size in given.size or SIZES:
        width, height = SIZES[size]
        for codec in given.codec or ("H264", "VP8"):
            for estimates in (True, False):
                found = {
                    kind: measure(
                        Run(
                            kind=kind,
                            codec=codec,
                            width=width,
                            height=height,
                            fps=30,
                            seconds=given.seconds,
                            quality=given.quality,
                            estimates=estimates,
                        )
                    )
                    for kind in KINDS
                }
                title = f"{size} at 30, {codec}" + ("" if estimates else ", without estimators")
                results[title] = {kind: item.to_json() for kind, item in found.items()}
                print(f"\n{title}", flush=True)
                for kind in KINDS:
                    print(line(kind, found[kind], found["stock"]), flush=True)
    if given.json:
        keep(__file__, results, is_part=bool(given.size or given.codec))


if __name__ == "__main__":
    main()
