"""Builds the images and remembers from which sources, so that nothing is built twice."""

import hashlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podstream_dev.shell import ROOT, DevError, cache_dir, capture, say, show, step, succeeds

_SOURCES = (
    "operator",
    "workloads",
    "images",
    "pyproject.toml",
    "requirements.lock",
    ".dockerignore",
)


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the project."""

    name: str
    dockerfile: str

    @property
    def tag(self) -> str:
        """Full reference, as the chart names it."""
        return f"docker.io/podstream/{self.name}:{version()}"


IMAGES = (
    Image("operator", "operator/Dockerfile"),
    Image("router", "operator/Dockerfile.router"),
    Image("session", "workloads/Dockerfile"),
    Image("session-tracking", "workloads/Dockerfile.tracking"),
)


def version() -> str:
    """The project's version, which is the images' tag."""
    match = re.search(r'(?m)^version = "(.+)"', (ROOT / "pyproject.toml").read_text())
    if match is None:
        raise DevError("pyproject.toml names no version")
    return match.group(1)


def source_files() -> Iterator[Path]:
    """Every file that can end up in an image."""
    for top in _SOURCES:
        path = ROOT / top
        if path.is_file():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.suffix != ".pyc" and ".egg-info" not in str(file):
                yield file


KEPT_S: Final = 600
"""Another checkout may be about to load what it has built."""


def source_key() -> str:
    """Digest over names and contents of all sources."""
    digest = hashlib.sha256()
    for file in source_files():
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def build() -> list[Path]:
    """Build what changed; return one docker-archive per image.

    Raises:
        DevError: a build failed.
    """
    cache = cache_dir() / "built"
    cache.mkdir(parents=True, exist_ok=True)
    key = source_key()
    archives: list[Path] = []
    for image in IMAGES:
        archive = cache / f"{image.name}-{key}.tar"
        archives.append(archive)
        if archive.exists():
            say(f"image {image.tag}: unchanged")
            continue
        with step(f"building image {image.tag}"):
            _build_one(image, archive)
        for other in cache.glob(f"{image.name}-*.tar"):
            if time.time() - other.stat().st_mtime > KEPT_S:
                other.unlink(missing_ok=True)
    return archives


def _build_one(image: Image, archive: Path) -> None:
    commit = "unknown"
    if succeeds(["git", "rev-parse", "HEAD"]):
        commit = capture(["git", "rev-parse", "HEAD"]).strip()
    partial = archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    command = [sys.executable, "-m", "testcluster", "image", "build"]
    command += ["--tag", image.tag, "--file", str(ROOT / image.dockerfile), "--context", str(ROOT)]
    command += ["--build-arg", f"GIT_SHA={commit}", "--output", str(partial)]
    show(command, env={"PYTHONPATH": str(ROOT / "tests/cluster")})
    partial.rename(archive)
