"""What moves in front of a still camera: MOG2 at a small size, and rectangles around its mask.

Three things that the plain subtractor gets wrong are mended here:

- it learns whoever stands still; under rectangles that are *held* (confirmed tracks) it is shown
  the background it knows instead of the picture, so it goes on learning only elsewhere;
- a change of light turns everything into foreground; the picture is scaled per channel by the
  median ratio to the background first, and if most of it still differs the model starts anew;
- something that leaves after having been learnt leaves a ghost. Along a ghost's outline the
  *background* has the edge and the picture has none; for a real thing it is the other way round.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge import rects
from podstream_workloads.tracking.edge.detectors.base import Picture, Rect

_GAIN_LIMITS: Final = (0.3, 3.0)
_GAIN_DEADBAND: Final = 0.02
_GHOST_RATIO: Final = 1.5
_GHOST_EDGE: Final = 12.0  # grey levels per pixel (Sobel / 8): above the sensor's noise
_FOREGROUND: Final = 255  # 127 is MOG2's shadow


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """How motion is seen. Sizes are parts of the picture, times are in seconds."""

    working_width: int = 320
    """Pictures are made this wide, at most, before they are compared."""
    learn_s: float = 60.0
    """Time constant of learning; something that stays unheld is absorbed after about a tenth."""
    min_area: float = 0.0015
    """Smaller blobs are noise."""
    variance: float = 25.0
    """Squared distance, in standard deviations, from which a pixel differs."""
    sudden: float = 0.7
    """Foreground above this part of the picture is a change of scene, not somebody's motion."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One moving thing, or several that touch."""

    rect: Rect
    """In pixels of the whole picture."""
    fill: float
    """Part of the rectangle that is foreground, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Foreground:
    """What differs from the background in one picture."""

    blobs: tuple[Blob, ...]
    mask: NDArray[np.uint8]
    """At the working size: 255 where something is."""
    scale: float
    """Pixels of the whole picture per pixel of the mask."""
    is_sudden: bool = False
    """Everything changed at once: the model was started anew."""


class Background:
    """The background of one camera. Not safe for use by two threads."""

    def __init__(self, settings: MotionSettings | None = None) -> None:
        self._settings = settings or MotionSettings()
        self._model: Any = None
        self._shape: tuple[int, ...] = ()
        self._known: Picture | None = None
        self._known_at = -math.inf
        self._time_s = -math.inf

    def look(self, image: Picture, *, time_s: float, held: Sequence[Rect] = ()) -> Foreground:
        """Compare a picture with the background, and learn from it.

        Args:
            image: height x width x 3, BGR; its size may change, which starts the model anew.
            time_s: seconds on any clock that goes forward; learning is per second, not per frame.
            held: rectangles under which nothing is learnt.
        """
        scale = max(1.0, image.shape[1] / self._settings.working_width)
        size = (round(image.shape[1] / scale), max(1, round(image.shape[0] / scale)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if self._model is None or small.shape != self._shape or time_s < self._time_s:
            return self._start(small, time_s, scale)
        rate = 1.0 - math.exp(-(time_s - self._time_s) / self._settings.learn_s)
        self._time_s = time_s
        known = self._background(time_s)
        small = _in_the_light_of(known, small)
        raw = self._model.apply(small, learningRate=0.0 if held else rate)
        if held:
            shown = small.copy()
            for rect in held:
                at = _slices(rect, scale, small.shape)
                shown[at] = known[at]
            self._model.apply(shown, learningRate=rate)
        mask = np.asarray(np.where(raw == _FOREGROUND, 255, 0), dtype=np.uint8)
        if np.count_nonzero(mask) > self._settings.sudden * mask.size:
            return self._start(small, time_s, scale, is_sudden=True)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _OPEN), dtype=np.uint8)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSE), dtype=np.uint8)
        return self._foreground(small, known, mask, scale)

    def _start(
        self, small: Picture, time_s: float, scale: float, *, is_sudden: bool = False
    ) -> Foreground:
        settings = self._settings
        self._model = cv2.createBackgroundSubtractorMOG2(
            varThreshold=settings.variance, detectShadows=True
        )
        self._model.apply(small, learningRate=1.0)
        self._shape, self._known, self._known_at = small.shape, small, time_s
        self._time_s = time_s
        empty = np.zeros(small.shape[:2], dtype=np.uint8)
        return Foreground(blobs=(), mask=empty, scale=scale, is_sudden=is_sudden)

    def _background(self, time_s: float) -> Picture:
        # Made from the model every half second: it costs as much as a comparison.
        if self._known is None or time_s - self._known_at > 0.5:  # noqa: PLR2004
            self._known = np.asarray(self._model.getBackgroundImage(), dtype=np.uint8)
            self._known_at = time_s
        return self._known

    def _foreground(
        self, small: Picture, known: Picture, mask: NDArray[np.uint8], scale: float
    ) -> Foreground:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        pieces: list[tuple[Rect, int]] = []
        ghosts: list[int] = []
        floor = 0.25 * self._settings.min_area * mask.size
        edges: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        for label in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[label])
            if area < floor:
                continue
            edges = edges or (_edges(small), _edges(known))
            at = (slice(y, y + height), slice(x, x + width))
            if _is_ghost(labels[at] == label, edges[0][at], edges[1][at]):
                ghosts.append(label)
                continue
            pieces.append(((x, y, x + width, y + height), area))
        if ghosts:
            gone = np.isin(labels, ghosts)
            mask[gone] = 0
            self._model.apply(np.where(gone[..., None], small, known), learningRate=0.5)
            self._known_at = -math.inf
        blobs = []
        for rect, area in _joined_by_column(pieces):
            if area < self._settings.min_area * mask.size:
                continue
            size = (rect[2] - rect[0]) * (rect[3] - rect[1])
            x1, y1, x2, y2 = (side * scale for side in rect)
            blobs.append(Blob(rect=(x1, y1, x2, y2), fill=min(1.0, area / size)))
        return Foreground(blobs=tuple(blobs), mask=mask, scale=scale)


_OPEN: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_CLOSE: Final = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 9))  # people are tall


def _in_the_light_of(known: Picture, small: Picture) -> Picture:
    """The picture with the light of the background: scaled per channel by the median ratio."""
    step = (slice(None, None, 8), slice(None, None, 8))
    ratio = np.median((known[step] + 1.0) / (small[step] + 1.0), axis=(0, 1))
    if np.all(np.abs(ratio - 1.0) < _GAIN_DEADBAND):
        return small
    ratio = np.clip(ratio, *_GAIN_LIMITS)
    table = np.clip(np.arange(256)[:, None] * ratio[None, :], 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(small, table[None]), dtype=np.uint8)


def _slices(rect: Rect, scale: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x1, y1, x2, y2 = rects.clipped(
        (rect[0] / scale, rect[1] / scale, rect[2] / scale, rect[3] / scale),
        width=shape[1],
        height=shape[0],
    )
    return slice(int(y1), math.ceil(y2)), slice(int(x1), math.ceil(x2))


def _edges(picture: Picture) -> NDArray[np.float32]:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(dx, dy), dtype=np.float32)


def _is_ghost(
    blob: NDArray[np.bool_], now: NDArray[np.float32], known: NDArray[np.float32]
) -> bool:
    outline = cv2.morphologyEx(blob.astype(np.uint8), cv2.MORPH_GRADIENT, _OPEN) > 0
    if not outline.any():
        return False
    here, there = float(now[outline].mean()), float(known[outline].mean())
    return there > _GHOST_EDGE and there > _GHOST_RATIO * here


def _joined_by_column(pieces: list[tuple[Rect, int]]) -> list[tuple[Rect, int]]:
    """Join a head, a body and legs that the mask shows apart: one above the other, close by."""
    joined = sorted(pieces, key=lambda piece: -piece[1])
    done = False
    while not done:
        done = True
        for index, (one, area) in enumerate(joined):
            for other_index in range(index + 1, len(joined)):
                other, other_area = joined[other_index]
                if _belong_together(one, other):
                    joined[index] = (rects.union([one, other]), area + other_area)
                    del joined[other_index]
                    done = False
                    break
            if not done:
                break
    return joined


def _belong_together(one: Rect, other: Rect) -> bool:
    shared = min(one[2], other[2]) - max(one[0], other[0])
    narrow = min(one[2] - one[0], other[2] - other[0])
    gap = max(one[1], other[1]) - min(one[3], other[3])
    tall = max(one[3] - one[1], other[3] - other[1])
    return shared >= 0.5 * narrow and gap <= 0.25 * tall
