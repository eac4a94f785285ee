"""Copies `crds/*.yaml` into the chart: Helm installs only what lies inside the chart.

`python tests/tools/sync_crds.py` writes, `--check` only compares and exits 1 on a difference.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "crds"
TARGET: Final = ROOT / "helm" / "podstream" / "crds"


def plan_copy(source: Path, *, target: Path) -> tuple[dict[Path, bytes], list[Path]]:
    """Files of `target` that must be written, with their content, and those that must go."""
    wanted = {target / path.name: path.read_bytes() for path in sorted(source.glob("*.yaml"))}
    changed = {
        path: content
        for path, content in wanted.items()
        if not path.is_file() or path.read_bytes() != content
    }
    stray = [path for path in sorted(target.glob("*")) if path not in wanted]
    return changed, stray


def main() -> int:
    """Copy, or compare with `--check`; the exit status is 1 where `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    changed, stray = plan_copy(SOURCE, target=TARGET)
    if options.check:
        for path in [*changed, *stray]:
            print(f"{path.relative_to(ROOT)} differs: run python tests/tools/sync_crds.py")
        return 1 if changed or stray else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for path, content in changed.items():
        path.write_bytes(content)
    for path in stray:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
