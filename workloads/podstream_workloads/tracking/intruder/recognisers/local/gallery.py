"""The known faces, and how alike two faces are.

Descriptors are compared by the cosine of their differences from the mean face, after the
directions in which copies of one face differ (light, angle, scale, JPEG) have been damped:
within-class covariance normalisation (Hatch, Kajarekar, Stolcke 2006) in the whole space. The
space is not reduced to the gallery's own: what a stranger has that nobody in the gallery has
must count against him.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from podstream_workloads.tracking.intruder.recognisers.local.descriptor import ALGORITHM

LEAST_THRESHOLD: Final = 0.52
"""Least similarity of a known face. Altered copies of one rendered face lie above it in 19 of 20
cases and strangers below it in 19 of 20, for galleries of 2 to 10 people."""
_MOST_THRESHOLD: Final = 0.75
_MARGIN: Final = 0.02
_DIRECTIONS: Final = 40
_FLOOR: Final = 0.05
"""Share of the mean variance along the damped directions that stays undamped."""


class GalleryUnreadable(Exception):
    """The file is no gallery, or one of another algorithm."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Who is known."""

    names: tuple[str, ...]
    mean: Any
    """The mean face: float32, one per dimension of a descriptor."""
    axes: Any
    """Directions in which one face's copies differ: dimensions x directions, orthonormal."""
    damping: Any
    """Share taken away along each direction, 0 to 1."""
    faces: Any
    """One row per name: its mean descriptor, transformed."""
    threshold: float

    def match(self, descriptor: Any) -> tuple[str, float]:
        """The most alike name and its similarity, -1 to 1; known if not below `threshold`."""
        likeness = self.faces @ _transformed(descriptor, self.mean, self.axes, self.damping)
        best = int(np.argmax(likeness))
        return self.names[best], float(likeness[best])

    def save(self, path: Path) -> None:
        """Write it as one `.npz` file without pickled objects.

        Raises:
            OSError: it cannot be written.
        """
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                algorithm=np.array(ALGORITHM),
                names=np.array(self.names),
                mean=self.mean.astype(np.float16),
                axes=self.axes.astype(np.float16),
                damping=self.damping.astype(np.float32),
                faces=self.faces.astype(np.float16),
                threshold=np.array(self.threshold),
            )


def load(path: Path) -> Gallery:
    """Read a gallery.

    Raises:
        GalleryUnreadable: missing, damaged, or of another algorithm.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
        if str(kept["algorithm"]) != ALGORITHM:
            raise GalleryUnreadable(
                f"{path} was made by {kept['algorithm']}, this is {ALGORITHM}: train it again"
            )
        gallery = Gallery(
            names=tuple(str(name) for name in kept["names"]),
            mean=kept["mean"].astype(np.float32),
            axes=kept["axes"].astype(np.float32),
            damping=kept["damping"].astype(np.float32),
            faces=kept["faces"].astype(np.float32),
            threshold=float(kept["threshold"]),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise GalleryUnreadable(f"{path} cannot be read: {error}") from error
    if not gallery.names or gallery.faces.shape != (len(gallery.names), gallery.mean.size):
        raise GalleryUnreadable(f"{path} is damaged")
    return gallery


def build(people: dict[str, Any], *, others: Any | None = None) -> Gallery:
    """A gallery of people's descriptors.

    Args:
        people: name -> rows of descriptors, of that person's altered copies.
        others: rows of descriptors of people who are not known: they sharpen the mean face and
            the threshold. Without them at least two people are needed.

    Raises:
        ValueError: too few people to know what faces have in common.
    """
    if len(people) < 2 and others is None:  # noqa: PLR2004 - one face is its own mean
        raise ValueError("at least two people are needed, or pictures of others")
    names = tuple(people)
    means = np.array([people[name].mean(axis=0) for name in names])
    every = means if others is None else np.concatenate([means, others])
    mean = every.mean(axis=0)
    axes, damping = _nuisance(
        np.concatenate([people[name] - own for name, own in zip(names, means, strict=True)])
    )
    faces = _transformed(means, mean, axes, damping)
    foreign = [
        float(likeness)
        for index, name in enumerate(names)
        for likeness in _foreign(faces, _transformed(people[name], mean, axes, damping), index)
    ]
    if others is not None:
        foreign += list((_transformed(others, mean, axes, damping) @ faces.T).max(axis=1))
    highest = float(np.quantile(foreign, 0.99)) + _MARGIN if foreign else LEAST_THRESHOLD
    return Gallery(
        names=names,
        mean=mean.astype(np.float32),
        axes=axes.astype(np.float32),
        damping=damping.astype(np.float32),
        faces=faces.astype(np.float32),
        threshold=min(_MOST_THRESHOLD, max(LEAST_THRESHOLD, highest)),
    )


def _nuisance(differences: Any) -> tuple[Any, Any]:
    """Principal directions of copies' differences from their own mean, and their damping."""
    # By way of the small Gram matrix: far fewer rows than dimensions.
    values, vectors = np.linalg.eigh(differences @ differences.T)
    count = max(1, min(_DIRECTIONS, int((values > values[-1] * 1e-4).sum())))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    axes = differences.T @ vectors / np.sqrt(np.maximum(values, 1e-12))
    variance = values / len(differences)
    floor = float(variance.mean()) * _FLOOR + 1e-12
    return axes, 1 - np.sqrt(floor / (variance + floor))


def _transformed(descriptors: Any, mean: Any, axes: Any, damping: Any) -> Any:
    """Rows (or one) of descriptors as damped differences from the mean face, of length 1."""
    difference = descriptors - mean
    damped = difference - ((difference @ axes) * damping) @ axes.T
    return damped / (np.linalg.norm(damped, axis=-1, keepdims=True) + 1e-9)


def _foreign(faces: Any, own: Any, index: int) -> Any:
    """Likeness of one person's copies to everybody else, the highest of each copy."""
    rest = np.delete(faces, index, axis=0)
    return (own @ rest.T).max(axis=1) if len(rest) else np.empty(0)
