"""Takes out of an image's environment what no process of a session pod loads.

    python slim.py /venv

Run while the image is built, after the last package is installed; ``proof.py`` then shows that all
that is used still works. Repeating it changes nothing. Each step names what it relies on and leaves
files alone where that does not hold: a new version of a package then costs size, not function.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_UNUSED = (
    # Suites of tests, and what builds extensions against numpy.
    "**/tests",
    "numpy/distutils",
    "numpy/f2py",
    "numpy/_core/include",
    "numpy/_core/lib",
    # Converters and quantisers of models; sessions only run them.
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    # Bills of materials inside of wheels: megabytes of JSON.
    "*.dist-info/sboms",
    # Sources and declarations of what is compiled.
    "**/*.pyx",
    "**/*.pxd",
    "**/*.pxi",
    "**/*.pyi",
    "**/*.c",
    "**/*.h",
)
_CASCADES = "cv2/data"
_USED_CASCADES = frozenset({"__init__.py", "haarcascade_frontalface_alt2.xml"})
_SERVICES = "botocore/data"
_USED_SERVICES = frozenset({"rekognition", "sso", "sso-oidc", "sts", "signin"})
"""The one that is called, and those that give out credentials for it."""


def main() -> None:
    """Slim the environment named on the command line, and say what it weighs."""
    (site,) = Path(sys.argv[1]).glob("lib/python3*/site-packages")
    before = _bytes(site)
    for path in _unused(site):
        _remove(path)
    _drop_second_onnxruntime(site)
    _share_ffmpeg(site)
    _strip(site)
    sys.stdout.write(f"{site}: {before / 1e6:.0f} MB, now {_bytes(site) / 1e6:.0f} MB\n")


def _unused(site: Path) -> Iterator[Path]:
    for pattern in _UNUSED:
        yield from list(site.glob(pattern))
    for path in (site / _CASCADES).glob("*"):
        if path.name not in _USED_CASCADES:
            yield path
    for path in (site / _SERVICES).glob("*"):
        if path.is_dir() and path.name not in _USED_SERVICES:
            yield path


def _drop_second_onnxruntime(site: Path) -> None:
    """Drop the library for C programs where Python's module has the whole runtime inside itself."""
    folder = site / "onnxruntime/capi"
    needed = {name for module in folder.glob("*pybind11*.so") for name in _needed(module)}
    for library in folder.glob("libonnxruntime.so.*"):
        if not any(name.startswith("libonnxruntime.so") for name in needed):
            _remove(library)


def _share_ffmpeg(site: Path) -> None:
    """Let OpenCV use the FFmpeg that comes with PyAV instead of a second one of its own.

    Only where every library of it has the very same version in both: they are then one interface.
    PyAV's is kept, because it has the encoders. The linker looks for what a library needs beside
    the name by which it was found, so PyAV's other libraries are linked there as well. A process
    that uses both then has one FFmpeg in memory.
    """
    theirs, ours = site / "opencv_python_headless.libs", site / "av.libs"
    if not theirs.is_dir() or not ours.is_dir():
        return
    kept = {_identity(path): path for path in ours.iterdir()}
    pairs = {path: kept.get(_identity(path)) for path in theirs.glob("lib[as][vw]*.so*")}
    pairs = {path: same for path, same in pairs.items() if not path.name.startswith("libavif")}
    if not all(pairs.values()):
        return
    for path, same in pairs.items():
        if same is not None and not path.is_symlink():
            path.unlink()
            path.symlink_to(f"../{ours.name}/{same.name}")
    for library in ours.iterdir():
        link = theirs / library.name
        if not link.exists():
            link.symlink_to(f"../{ours.name}/{library.name}")
    _drop_unneeded(theirs, users=[*(site / "cv2").glob("*.so")])


def _identity(library: Path) -> tuple[str, str]:
    """Name and version: `libavutil-5809ad29.so.60.26.102` is `("libavutil", "60.26.102")`."""
    name, _, version = library.name.partition(".so")
    return name.rpartition("-")[0], version.strip(".")


def _drop_unneeded(folder: Path, *, users: list[Path]) -> None:
    """Drop libraries that neither these modules nor what they need asks for."""
    asked: set[str] = set()
    waiting = [name for user in users for name in _needed(user)]
    while waiting:
        name = waiting.pop()
        if name not in asked and (folder / name).exists():
            asked.add(name)
            waiting += _needed(folder / name)
    for path in folder.iterdir():
        if path.name not in asked:
            _remove(path)


def _needed(library: Path) -> list[str]:
    text = subprocess.run(
        ["readelf", "--dynamic", str(library)], check=True, capture_output=True, text=True
    ).stdout
    return [line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line]


def _strip(site: Path) -> None:
    """Take debugging information and symbols for linking out of compiled modules.

    Not out of libraries that a wheel brought along: they were rewritten to find each other, which
    not every `strip` survives.
    """
    for path in site.rglob("*.so"):
        if path.parent.suffix == ".libs" or path.is_symlink():
            continue
        draft = path.with_suffix(".stripped")
        subprocess.run(["strip", "--strip-unneeded", "-o", str(draft), str(path)], check=True)
        shutil.copymode(path, draft)
        draft.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
