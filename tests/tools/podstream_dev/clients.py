"""Environments of the clients that tests play with: a browser and what judges pages in it, an old
WebRTC stack, a desktop.

The original ball tracker's client runs on aiortc 1.5.0. Its dependency PyAV 10 is published as
source only, so it is built here once against Debian's FFmpeg 5.1 and kept in the cache. OpenCV's
desktop build must not lie beside the headless one of `.venv`, so it has an environment as well.
"""

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from podstream_dev.shell import ROOT, DevError, cache_dir, capture, show, step, succeeds

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
_AXE = "4.10.3"
_STOCK = ("aiortc==1.5.0", "av==10.0.0", "opencv-python-headless==4.8.1.78", "numpy==1.26.4")
_DESKTOP_PACKAGES = ("xvfb", "libgl1", "libglib2.0-0", "libsm6", "libx11-xcb1")
_DESKTOP_TOOLS = ("python-xlib==0.33",)
# PyAV 10 predates Cython 3.
_BUILD_CONSTRAINTS = "cython<3\nsetuptools<70\n"


def prepare() -> None:
    """Install what is missing; quick where nothing is.

    Raises:
        DevError: a package cannot be installed.
    """
    chromium()
    axe()
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


def axe() -> Path | None:
    """axe-core, which finds faults of accessibility in a page; `None` where there is no npm.

    Raises:
        DevError: it cannot be fetched.
    """
    home = cache_dir() / f"axe-core-{_AXE}"
    script = home / "package/axe.min.js"
    if script.exists():
        return script
    if not shutil.which("npm"):
        return None
    with step(f"axe-core {_AXE}"), tempfile.TemporaryDirectory() as folder:
        name = capture(
            ["npm", "pack", "--silent", f"axe-core@{_AXE}", f"--pack-destination={folder}"]
        ).split()[-1]
        home.mkdir(parents=True, exist_ok=True)
        with tarfile.open(Path(folder) / name) as archive:
            archive.extract("package/axe.min.js", home, filter="data")
    return script


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


def desktop_python() -> Path:
    """Interpreter of an environment made from the extra `desktop`, without podstream itself.

    The checkout's own sources come by PYTHONPATH: several checkouts share the environment. Xvfb
    and what OpenCV's windows need of the system are installed besides.

    Raises:
        DevError: a package cannot be installed.
    """
    if not shutil.which("Xvfb"):
        _apt(*_DESKTOP_PACKAGES)
    made_from = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "requirements.lock")]
    digest = hashlib.sha256(b"".join(made_from)).hexdigest()[:8]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache_dir() / f"desktop-opencv-py{version}-{digest}"
    python = home / "bin/python"
    if (home / "ready").exists():
        return python
    with step("environment with a desktop OpenCV"), tempfile.TemporaryDirectory() as folder:
        shutil.rmtree(home, ignore_errors=True)
        capture([sys.executable, "-m", "venv", str(home)])
        # Of a copy: an installation leaves build/ in the place that it installs from.
        copy = Path(folder) / "podstream"
        copy.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        for name in ("operator", "workloads"):
            shutil.copytree(ROOT / name, copy / name)
        pip = [str(python), "-m", "pip"]
        lock = ["-c", str(ROOT / "requirements.lock")]
        show([*pip, "install", "--quiet", *lock, f"{copy}[desktop]", *_DESKTOP_TOOLS])
        capture([*pip, "uninstall", "--quiet", "--yes", "podstream"])
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
