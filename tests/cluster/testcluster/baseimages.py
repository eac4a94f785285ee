"""Makes the images that other images and pods stand on, where none can be pulled.

pause and CoreDNS run in every cluster. The Debian and Python images are stand-ins, made from
Debian packages under the names that Dockerfiles use; a machine with Docker pulls the real ones.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testcluster import pipconfig, versions
from testcluster.archive import ImageConfig, write_image, write_layer
from testcluster.binaries import build_key
from testcluster.command import run
from testcluster.console import say, step
from testcluster.locks import locked, prune, published

PAUSE_SOURCE = Path(__file__).resolve().parent / "pause" / "pause.c"

_MIRROR_FILES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_PYTHON_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Nothing reads them in a container, and they are a third of a minimal Debian.
_LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)
_SLIM_HOOKS = (
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*',
    'rm -f "$1"/etc/resolv.conf "$1"/etc/hostname',
    # Where the machine's pip settings are mounted while an image builds; without the folder,
    # every image would be left with a mount point.
    f'mkdir -p "$1"{pipconfig.MOUNTED_AT}',
)
# The real image has python at /usr/local/bin and lets pip write into it.
_PYTHON_HOOKS = (
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    'ln -s /usr/bin/python3 "$1"/usr/local/bin/python',
    'ln -s /usr/bin/python3 "$1"/usr/local/bin/python3',
    'ln -s /usr/bin/python3 "$1"/usr/local/bin/python3.11',
)


@dataclass(frozen=True, slots=True)
class BaseImage:
    """One image: the short name that ``load`` takes, its tag and the file in the cache."""

    name: str
    tag: str

    @property
    def file_name(self) -> str:
        """Name of the archive in the cache folder."""
        return f"{self.name}.tar"


PAUSE = BaseImage("pause", versions.PAUSE_IMAGE)
COREDNS = BaseImage("coredns", versions.COREDNS_IMAGE)
DEBIAN = BaseImage("debian", versions.DEBIAN_IMAGE)
PYTHON = BaseImage("python", versions.PYTHON_IMAGE)
ALL = (PAUSE, COREDNS, DEBIAN, PYTHON)


def ensure_system_images(cache: Path, binaries: Path) -> Path:
    """Make pause and CoreDNS unless the cache has them; return their folder. Takes 2 s."""
    parts = [("pause.c", PAUSE_SOURCE.read_bytes()), ("binaries", binaries.name.encode())]
    return _ensure(
        cache,
        folder=cache / "images" / f"system-{build_key(parts)}",
        make=lambda draft: _make_system_images(draft, binaries),
    )


def ensure_distribution_images(cache: Path) -> Path:
    """Make the Debian and Python stand-ins unless the cache has them; return their folder.

    Takes about a minute, with downloads from the machine's own Debian mirror.
    """
    recipe = repr(
        (versions.DEBIAN_RELEASE, _PYTHON_PACKAGES, _LEFT_OUT, _SLIM_HOOKS, _PYTHON_HOOKS)
    )
    return _ensure(
        cache,
        folder=cache / "images" / f"distribution-{build_key([('recipe', recipe.encode())])}",
        make=_make_distribution_images,
    )


def find_base_image(name: str, *, cache: Path, binaries: Path) -> Path | None:
    """Return the archive of a base image by its short name or tag; None for any other name."""
    for image in ALL:
        if name in (image.name, image.tag):
            if image in (PAUSE, COREDNS):
                return ensure_system_images(cache, binaries) / image.file_name
            return ensure_distribution_images(cache) / image.file_name
    return None


def _ensure(cache: Path, *, folder: Path, make: Callable[[Path], None]) -> Path:
    if folder.is_dir():
        return folder
    with locked(cache / "images.lock", doing="making base images"):
        if not folder.is_dir():
            with published(folder) as draft:
                make(draft)
            prune(folder.parent, pattern=f"{folder.name.partition('-')[0]}-*")
    return folder


def _make_system_images(draft: Path, binaries: Path) -> None:
    with step("made the images pause and coredns"):
        program, layer = draft / "pause", draft / "layer"
        run(["gcc", "-Os", "-static", "-s", "-o", program, PAUSE_SOURCE])
        write_layer(layer, {"/pause": program})
        config = ImageConfig(entrypoint=["/pause"], user="65535:65535", environment={"PATH": _PATH})
        write_image(draft / PAUSE.file_name, layer=layer, tag=PAUSE.tag, config=config)
        write_layer(layer, {"/coredns": binaries / "coredns"})
        config = ImageConfig(entrypoint=["/coredns"], user="65532:65532")
        write_image(draft / COREDNS.file_name, layer=layer, tag=COREDNS.tag, config=config)
        program.unlink()
        layer.unlink()


def _make_distribution_images(draft: Path) -> None:
    say("Making the base images from Debian packages (about a minute, then cached):")
    with step(f"made the image {DEBIAN.tag}"):
        _make_root(draft / "layer", packages="", hooks=_SLIM_HOOKS)
        config = ImageConfig(command=["bash"], environment={"PATH": _PATH})
        write_image(draft / DEBIAN.file_name, layer=draft / "layer", tag=DEBIAN.tag, config=config)
        (draft / "layer").unlink()
    with step(f"made the image {PYTHON.tag}"):
        _make_root(draft / "layer", packages=_PYTHON_PACKAGES, hooks=_PYTHON_HOOKS + _SLIM_HOOKS)
        config = ImageConfig(command=["python3"], environment={"PATH": _PATH, "LANG": "C.UTF-8"})
        write_image(draft / PYTHON.file_name, layer=draft / "layer", tag=PYTHON.tag, config=config)
        (draft / "layer").unlink()


def _make_root(layer: Path, *, packages: str, hooks: tuple[str, ...]) -> None:
    """Write a Debian root file system as a tar, from the machine's own Debian mirror."""
    source = next((path for path in _MIRROR_FILES if path.exists()), None)
    argv = ["mmdebstrap", "--variant=minbase", "--quiet", "--format=tar"]
    argv += ['--aptopt=Acquire::Languages "none"']
    argv += [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
    argv += [f"--customize-hook={hook}" for hook in hooks]
    argv += [f"--include={packages}"] if packages else []
    argv += [versions.DEBIAN_RELEASE, str(layer)]
    argv += [str(source)] if source else []
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "TMPDIR": str(layer.parent)}
    run(
        argv,
        env=environment,
        timeout_s=1800,
        fix="Check the machine's Debian mirror: `apt-get update`.",
    )
