"""How many processors this pod may use: its control group's quota, within what it may run on.

A limit of 500m or 2 does not narrow a pod's affinity: the kernel lets every thread run and then
stops all of them for the rest of each period (cgroup-v2.rst, "CPU Interface Files"; for the first
version sched-bwc.rst). Threads beyond the quota only make those stops longer.
"""

import os
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")


def processor_limit(root: Path = _ROOT) -> float:
    """Processors, at least a hundredth; those of the affinity where no quota is set or readable.

    Args:
        root: where a container sees its own control group.
    """
    allowed = float(len(os.sched_getaffinity(0)))
    quota = _version_2(root) or _version_1(root)
    return allowed if quota is None else max(0.01, min(allowed, quota))


def _version_2(root: Path) -> float | None:
    words = _words(root / "cpu.max")
    if len(words) != 2 or words[0] == "max":  # noqa: PLR2004 - quota and period
        return None
    return _ratio(*words)


def _version_1(root: Path) -> float | None:
    quota = _words(root / "cpu" / "cpu.cfs_quota_us")
    period = _words(root / "cpu" / "cpu.cfs_period_us")
    return _ratio(quota[0], period[0]) if quota and period else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (OSError, UnicodeDecodeError):
        return []


def _ratio(quota: str, period: str) -> float | None:
    """Of two numbers of microseconds; a quota of -1 is none."""
    try:
        found = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return found if found > 0 else None
