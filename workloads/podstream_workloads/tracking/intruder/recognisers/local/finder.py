"""Where is the face, and how is it turned? Answers with an upright square of one size.

Viola-Jones with OpenCV's `alt2` cascade (Lienhart, Kuranov, Pisarevsky 2003). The cascade still
fires some degrees off upright and says little about how many. So a face is located coarsely in
the whole picture, then searched for again in its surroundings at many angles: the mean of the
angles, places and sizes at which it was found is its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from podstream_workloads.tracking.edge.detectors.base import Picture

FACE_SIDE: Final = 96
"""Pixels of an upright face's side."""
_LONGEST: Final = 480
"""Pixels of the longer side that is searched."""
_LEAST: Final = 36
"""Pixels of the smallest face there: less has no features left."""
_COARSE: Final = (0.0, -18.0, 18.0)
_FINE: Final = (-28.0, -21.0, -14.0, -7.0, 0.0, 7.0, 14.0, 21.0, 28.0)
_AROUND: Final = 1.7
"""The surroundings' side in sides of the face."""
_NEAR: Final = 192
"""Pixels of the surroundings' side when searched."""
_MIN_HITS: Final = 2
"""Fine angles at which a face must be found: a pattern that looks like one does so at one."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a picture."""

    gray: Any
    """`FACE_SIDE` squared, uint8, upright."""
    side: float
    """Pixels of its side in the picture it was found in."""
    angle: float
    """Degrees, counter-clockwise, by which the picture is turned to have it upright."""


@dataclass(frozen=True, slots=True)
class _Hit:
    x: float
    y: float
    side: float
    angle: float


class FaceFinder:
    """Finds faces; not for two threads at once, as a cascade keeps its working memory."""

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
        if self._cascade.empty():
            raise RuntimeError("this OpenCV has no Haar cascades: version 4 has, 5 has not")

    def largest(self, picture: Picture) -> Face | None:
        """The largest sure face of a picture, or `None`."""
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        scale = min(2.0, _LONGEST / max(gray.shape))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=interpolation)
        # Dark skin before a bright wall has little contrast within the whole picture's range.
        even = cv2.equalizeHist(gray)
        for angle in _COARSE:
            hits = self._search(even, angle, least=_LEAST)
            for hit in sorted(hits, key=lambda hit: hit.side, reverse=True):
                face = self._refined(gray, hit)
                if face is not None:
                    return Face(face.gray, face.side / scale, face.angle)
        return None

    def _refined(self, gray: Any, coarse: _Hit) -> Face | None:
        """The face near a coarse hit, upright; `None` where the fine search does not agree."""
        zoom = _NEAR / (coarse.side * _AROUND)
        near = _cut(gray, x=coarse.x, y=coarse.y, zoom=zoom, angle=0.0, side=_NEAR)
        middle = _NEAR / 2
        hits = []
        for angle in _FINE:
            found = self._search(near, angle, least=int(_NEAR * 0.38))
            if found:
                hits.append(min(found, key=lambda hit: abs(hit.x - middle) + abs(hit.y - middle)))
        hits = [hit for hit in hits if max(abs(hit.x - middle), abs(hit.y - middle)) < _NEAR * 0.2]
        if len(hits) < _MIN_HITS:
            return None
        x, y, side, angle = np.mean([(h.x, h.y, h.side, h.angle) for h in hits], axis=0)
        x, y, side = coarse.x + (x - middle) / zoom, coarse.y + (y - middle) / zoom, side / zoom
        upright = _cut(gray, x=x, y=y, zoom=FACE_SIDE / side, angle=float(angle), side=FACE_SIDE)
        return Face(upright, float(side), float(angle))

    def _search(self, gray: Any, angle: float, *, least: int) -> list[_Hit]:
        """Faces when the picture is turned by `angle`; places are in the unturned picture."""
        height, width = gray.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        turned = gray
        if angle:
            turned = cv2.warpAffine(gray, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        boxes = self._cascade.detectMultiScale(turned, 1.08, 2, minSize=(least, least))
        back = cv2.invertAffineTransform(turn)
        hits = []
        for x, y, w, h in boxes:
            centre = back @ (x + w / 2, y + h / 2, 1.0)
            hits.append(_Hit(float(centre[0]), float(centre[1]), float(w), angle))
        return hits


def _cut(gray: Any, *, x: float, y: float, zoom: float, angle: float, side: int) -> Any:
    """A square around a point, zoomed and turned counter-clockwise, even in contrast."""
    matrix = cv2.getRotationMatrix2D((x, y), angle, zoom)
    matrix[0, 2] += side / 2 - x
    matrix[1, 2] += side / 2 - y
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    if zoom < 0.5:  # noqa: PLR2004 - warping does not average; halve first where it matters
        gray = cv2.GaussianBlur(gray, (0, 0), 0.4 / zoom)
    square = cv2.warpAffine(
        gray, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.createCLAHE(2.0, (2, 2)).apply(square)
