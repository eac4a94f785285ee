"""Sizes of the images on a node, against the 1.76 GB of the original edge image.

    make bench BENCH=tests/bench/bench_image_size.py

Bytes as the node counts them: all layers, unpacked. Under the session images is what is left
of the official Python image, or of the Debian that stands in for it where it cannot be pulled.
"""

import argparse
import json
import subprocess
from typing import Final

from bench.kept import keep

ORIGINAL: Final = 1_760_000_000
"""Bytes of the edge image of the original intruder detection, which holds torch."""
TARGET: Final = 0.30


def sizes() -> dict[str, int]:
    """Bytes of podstream's images on the first node, by their short names."""
    found = subprocess.run(
        ["kubectl", "get", "nodes", "-o", "json"], check=True, capture_output=True, text=True
    )
    images = json.loads(found.stdout)["items"][0]["status"]["images"]
    return {
        name.rpartition("/")[2].partition(":")[0]: image["sizeBytes"]
        for image in images
        for name in image["names"][:1]
        if "/podstream/" in name
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="keep the results")
    options = parser.parse_args()
    found = sizes()
    for name, size in sorted(found.items()):
        print(f"  {name:<18}{size / 1e6:>8.0f} MB  {size / ORIGINAL:.2f} of the original's")
    print(f"target: {TARGET:.2f}")
    if options.json:
        keep(__file__, {name: {"bytes": size} for name, size in found.items()})


if __name__ == "__main__":
    main()
