"""From pictures of known people to a gallery.

Each picture is altered as cameras and daylight would (size, brightness, light from a side, angle,
JPEG), and what finding and describing makes of the copies is what the gallery learns: their mean
is the person, their differences are what does not matter.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from podstream_workloads.tracking.edge.detectors.base import Picture
from podstream_workloads.tracking.intruder.pictures import PictureLimits, PictureRefused, decode
from podstream_workloads.tracking.intruder.recognisers.local.descriptor import describe
from podstream_workloads.tracking.intruder.recognisers.local.finder import FaceFinder
from podstream_workloads.tracking.intruder.recognisers.local.gallery import Gallery, build

COPIES: Final = 14
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
_SEED: Final = 20
"""Fixed: the same pictures give the same gallery."""
Say = Callable[[str], None]


class TrainingFailed(Exception):
    """The folder does not give a gallery; the message says why."""


def train(folder: Path, *, others: Path | None = None, copies: int = COPIES, say: Say) -> Gallery:
    """A gallery of a folder's people: `<name>.png`, or `<name>/` with pictures of one person.

    Args:
        folder: pictures of the known people.
        others: pictures of people who are not, in any arrangement.
        copies: altered copies per picture.
        say: told one line about each picture.

    Raises:
        TrainingFailed: no pictures, or a person without a face in any.
    """
    finder = FaceFinder()
    people = {}
    for name, paths in by_name(folder).items():
        rows = [row for path in paths for row in _rows(path, finder, copies=copies, say=say)]
        if not rows:
            raise TrainingFailed(f"no face was found in any picture of {name}")
        people[name] = np.array(rows)
    if not people:
        raise TrainingFailed(f"no PNG or JPEG pictures in {folder}")
    foreign = None
    if others is not None:
        rows = [
            row
            for paths in by_name(others).values()
            for path in paths
            for row in _rows(path, finder, copies=2, say=say)
        ]
        if not rows:
            raise TrainingFailed(f"no faces in {others}")
        foreign = np.array(rows)
    try:
        return build(people, others=foreign)
    except ValueError as error:
        raise TrainingFailed(str(error)) from error


def by_name(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each person, by name; a picture's own name without its suffix is one.

    Raises:
        TrainingFailed: the folder cannot be read.
    """
    found: dict[str, list[Path]] = {}
    try:
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                own = [each for each in sorted(path.iterdir()) if each.suffix.lower() in _SUFFIXES]
                if own:
                    found.setdefault(path.name, []).extend(own)
            elif path.suffix.lower() in _SUFFIXES:
                found.setdefault(path.stem, []).append(path)
    except OSError as error:
        raise TrainingFailed(str(error)) from error
    return found


def _rows(path: Path, finder: FaceFinder, *, copies: int, say: Say) -> list[Any]:
    try:
        picture = decode(path.read_bytes(), limits=PictureLimits(max_bytes=64 * 1024 * 1024))
    except (OSError, PictureRefused) as error:
        raise TrainingFailed(f"{path}: {error}") from error
    rows = []
    for copy in altered(picture, copies=copies):
        face = finder.largest(copy)
        if face is not None:
            rows.append(describe(face.gray))
    say(f"{path.name}: a face in {len(rows)} of {copies} copies")
    return rows


def altered(picture: Picture, *, copies: int) -> Iterator[Picture]:
    """The picture itself, then copies of it as other cameras would have it."""
    height, width = picture.shape[:2]
    rng = np.random.default_rng(_SEED)
    yield picture
    for _ in range(copies - 1):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-17, 17), 1.0)
        copy = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        light = (copy / 255.0) ** rng.uniform(0.7, 1.5) * rng.uniform(0.6, 1.3)
        side = 1 + rng.uniform(-0.7, 0.7) * np.linspace(-0.5, 0.5, width)[None, :, None]
        copy = np.clip(light * side * 255, 0, 255).astype(np.uint8)
        scale = max(rng.uniform(0.5, 1.2), 100 / min(height, width))
        copy = cv2.resize(copy, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95))]
        _, data = cv2.imencode(".jpg", copy, quality)
        yield np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
