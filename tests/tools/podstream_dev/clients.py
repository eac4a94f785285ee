"""Clients that the end-to-end tests play sessions with: a browser and an old WebRTC stack.

The original ball tracker's client runs on aiortc 1.5.0. Its dependency PyAV 10 is published as
source only, so it is built here once against Debian's FFmpeg 5.1 and kept in the cache.
"""

import os
import shutil
import sys
from pathlib import Path

from podstream_dev.shell import DevError, cache_dir, capture, show, step, succeeds

_BUILD_PACKAGES = (
    "gcc",
    "pkg-config",
    "libavcodec-dev",
    "libavdevice-dev",
    "libavfilter-dev",
    "libavformat-dev",
    "libavutil-dev",
    "libswresample-dev",
    "libswscale-dev",
)
_STOCK = ("aiortc==1.5.0", "av==10.0.0", "opencv-python-headless==4.8.1.78", "numpy==1.26.4")
# PyAV 10 predates Cython 3.
_BUILD_CONSTRAINTS = "cython<3\nsetuptools<70\n"


def prepare() -> None:
    """Install what is missing; quick where nothing is.

    Raises:
        DevError: a package cannot be installed.
    """
    chromium()
    stock_python()


def chromium() -> Path:
    """The browser's path; installs Debian's package where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    _apt("chromium")
    found = shutil.which("chromium")
    if found is None:
        raise DevError("chromium was installed but is not on PATH")
    return Path(found)


def stock_python() -> Path:
    """Interpreter of an environment with aiortc 1.5.0; makes it where it is missing."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache_dir() / f"stock-aiortc-1.5.0-py{version}"
    python = home / "bin/python"
    if (home / "ready").exists():
        return python
    with step("environment with aiortc 1.5.0 (builds PyAV 10, about two minutes)"):
        if not succeeds(["pkg-config", "--exists", "libavdevice", "libavfilter"]):
            _apt(*_BUILD_PACKAGES)
        shutil.rmtree(home, ignore_errors=True)
        capture([sys.executable, "-m", "venv", str(home)])
        constraints = home / "build-constraints.txt"
        constraints.write_text(_BUILD_CONSTRAINTS)
        show(
            [str(python), "-m", "pip", "install", "--quiet", *_STOCK],
            env={"PIP_CONSTRAINT": str(constraints)},
        )
        (home / "ready").touch()
    return python


def _apt(*packages: str) -> None:
    names = " ".join(packages)
    if not succeeds(["apt-get", "--version"]) or os.geteuid() != 0:
        raise DevError(f"please install (as root): {names}")
    with step(f"apt-get install {names}"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        capture(["apt-get", "update", "-q"], env=quiet)
        capture(
            ["apt-get", "install", "-qy", "--no-install-recommends", *packages], env=quiet
        )  # fmt: skip
