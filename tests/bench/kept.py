"""Keeps what a benchmark found: one JSON file per benchmark under tests/bench/results."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def keep(bench: str, results: Any) -> None:
    """Write results with what they were made on, and say where.

    Args:
        bench: file of the benchmark, whose name the results get.
        results: what JSON can hold.
    """
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
    path = RESULTS / f"{Path(bench).stem}.json"
    path.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")
    print(f"kept in {path}")
