"""promtool and the Prometheus operator's CRDs: what says whether alerts and monitors are right."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from testcluster.errors import ClusterError
from testcluster.instance import from_environment
from testcluster.monitoring import CRDS, monitoring_folder

_FIX = "run `make test-chart`, which builds it, or install Prometheus' promtool on PATH"


def _cached() -> Path | None:
    try:
        folder = monitoring_folder(from_environment().cache)
    except ClusterError:
        return None  # no Go
    return folder if folder.is_dir() else None


def promtool_binary() -> str:
    """promtool from the cache, else from PATH."""
    folder = _cached()
    found = str(folder / "promtool") if folder else shutil.which("promtool")
    return found or pytest.fail(f"no promtool: {_FIX}")


def crd_files() -> list[Path]:
    """The Prometheus operator's own definitions of the kinds that the chart uses."""
    folder = _cached()
    if folder is None:
        pytest.skip("no CRDs of the Prometheus operator: they come from its Go module")
    return [folder / "crds" / name for name in CRDS]


def run_promtool(*arguments: str, cwd: Path) -> str:
    """Output of promtool; fails the test with it where promtool is not content."""
    done = subprocess.run(
        [promtool_binary(), *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return text
