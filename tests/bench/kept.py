"""Keeps what a benchmark found: one JSON file per benchmark under tests/bench/results."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def keep(bench: str, results: Any, *, is_part: bool = False) -> None:
    """Write results with what they were made on, and say where.

    Args:
        bench: file of the benchmark, whose name the results get.
        results: what JSON can hold.
        is_part: whether they take their places among those of other runs, by name, and leave the
            rest as it is.
    """
    path = RESULTS / f"{Path(bench).stem}.json"
    if is_part and path.exists():
        results = json.loads(path.read_text())["results"] | results
    body = {
        "bench": Path(bench).name,
        "machine": {
            "processors": os.cpu_count(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "results": results,
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")
    print(f"kept in {path}")
