"""Lost packets and a slow client: longest pause, latency and memory against aiortc's.

    python tests/bench/bench_circle_trouble.py [--seconds 20] [--json]

640x480 at 30 frames/s, VP8, which both sides know best. 2 % and 10 % of all media packets lost both
ways; a client that needs 100 ms a frame, three times what there is. Baseline in the same run: the
stock pair (see `circle_pair`). The longest pause is between two answers; growth is the receiver's
memory over the measured time.
"""

import argparse

from bench.circle_pair import Figures, Kind, Run, measure
from bench.kept import keep

TROUBLES: dict[str, tuple[float, float]] = {
    "2 % loss": (0.02, 0.0),
    "10 % loss": (0.1, 0.0),
    "client 3x too slow": (0.0, 0.1),
}
KINDS: tuple[Kind, ...] = ("stock", "podstream")


def line(name: str, figures: Figures) -> str:
    """One pair."""
    return (
        f"  {name:10} longest pause {figures.freeze_ms:7.0f} ms  p50 {figures.p50_ms:7.0f} ms"
        f"  p95 {figures.p95_ms:7.0f} ms  {figures.fps:5.1f} fps answered"
        f"  {figures.sent} sent  growth {figures.growth_mib:6.1f} MiB"
        f"  rmse {figures.rmse_px:.3f} px"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8")
    parser.add_argument("--json", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    results = {}
    for title, (loss, job_s) in TROUBLES.items():
        print(f"\n{title}", flush=True)
        for kind in KINDS:
            found = measure(
                Run(
                    kind=kind,
                    codec=given.codec,
                    width=640,
                    height=480,
                    fps=30,
                    seconds=given.seconds,
                    loss=loss,
                    job_s=job_s,
                )
            )
            results[f"{title}, {kind}"] = found.to_json()
            print(line(kind, found), flush=True)
    if given.json:
        keep(__file__, results)


if __name__ == "__main__":
    main()
