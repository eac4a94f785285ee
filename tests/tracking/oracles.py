"""Environments of what tracking is compared with, outside of podstream's own.

Trackers and metrics bring pandas, SciPy or a desktop OpenCV along: none of it may lie beside the
packages that podstream runs on. Each is installed once into the cache of development tools.
"""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from podstream_dev.shell import cache_dir, capture

PACKAGES: Final = {
    "tracking-metrics": ("motmetrics==1.4.0", "trackeval==1.3.0"),
    "tracking-bytetrack": ("trackers==2.6.1",),
    "tracking-opencv4": ("opencv-python-headless==4.14.0.94",),
}


def python(name: str) -> Path:
    """Interpreter of an environment; makes it where it is missing (a minute or two).

    Raises:
        DevError: a package cannot be installed.
    """
    home = cache_dir() / f"{name}-py{sys.version_info.major}.{sys.version_info.minor}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(home.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            capture([sys.executable, "-m", "venv", str(home)])
            capture([str(home / "bin/python"), "-m", "pip", "install", "-q", *PACKAGES[name]])
            (home / "ready").touch()
    return home / "bin/python"


def ask(name: str, script: Path, question: Any, *, path: tuple[Path, ...] = ()) -> Any:
    """Run a script in an environment: JSON on its input, JSON on its last line of output."""
    done = subprocess.run(
        [str(python(name)), str(script)],
        input=json.dumps(question),
        text=True,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(map(str, path))},
    )
    if done.returncode:
        raise RuntimeError(f"{script.name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
