"""OpenCV's own detectors of people (HOG) and faces (Haar), where it still has them.

OpenCV 5 has moved both out of its main modules: `opencv-python-headless` 4 has them, 5 has not.
They are demonstrations without a model, not what a camera should run on.
"""

import math
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from podstream_workloads.tracking.edge.detectors.base import Detection, Picture
from podstream_workloads.tracking.edge.errors import DetectorUnavailable

_MOST_WIDE: Final = 640  # HOG at 1280x720 costs a third of a second
FACES: Final = "haarcascade_frontalface_alt2.xml"  # recall 0.86 at precision 1.00


class Hog:
    """People who stand upright and are at least 96 pixels tall (Dalal and Triggs, 2005)."""

    name = "hog"
    version = f"opencv-{cv2.__version__}"

    def __init__(self, *, confidence: float = 0.5, library: Any = cv2) -> None:
        """Load the detector.

        Args:
            confidence: detections below are left out; the margin of the classifier as 0 to 1.
            library: OpenCV, or what stands for it.

        Raises:
            DetectorUnavailable: this OpenCV has none.
        """
        self._hog: Any = _part(library, "HOGDescriptor")()
        self._hog.setSVMDetector(_part(library, "HOGDescriptor_getDefaultPeopleDetector")())
        self._confidence = confidence

    def detect(self, image: Picture) -> list[Detection]:
        """People in a picture."""
        small, scale = _at_most(image, _MOST_WIDE)
        if small.shape[0] < 128 or small.shape[1] < 64:  # noqa: PLR2004 - its window
            return []
        rects, weights = self._hog.detectMultiScale(small, winStride=(8, 8), scale=1.05)
        return _detections(rects, weights, scale=scale, confidence=self._confidence, label="person")


class Haar:
    """Faces seen from the front (Viola and Jones, 2001)."""

    name = "haar"
    version = f"opencv-{cv2.__version__}"

    def __init__(self, *, confidence: float = 0.5, library: Any = cv2) -> None:
        """Load the cascade.

        Args:
            confidence: detections below are left out; the margin of the last stage as 0 to 1.
            library: OpenCV, or what stands for it.

        Raises:
            DetectorUnavailable: this OpenCV has none, or its files are missing.
        """
        maker = _part(library, "CascadeClassifier")
        path = Path(str(_part(library, "data").haarcascades)) / FACES
        if not path.is_file():
            raise DetectorUnavailable(f"OpenCV {library.__version__} ships no {FACES}")
        self._cascade: Any = maker(str(path))
        self._confidence = confidence

    def detect(self, image: Picture) -> list[Detection]:
        """Faces in a picture."""
        small, scale = _at_most(image, _MOST_WIDE)
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
        rects, _, weights = self._cascade.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(24, 24), outputRejectLevels=True
        )
        return _detections(rects, weights, scale=scale, confidence=self._confidence, label="face")


def _part(library: Any, name: str) -> Any:
    try:
        return getattr(library, name)
    except AttributeError:
        raise DetectorUnavailable(
            f"OpenCV {library.__version__} has no {name}; opencv-python-headless below 5 has"
        ) from None


def _at_most(image: Picture, width: int) -> tuple[Picture, float]:
    scale = max(1.0, image.shape[1] / width)
    if scale == 1.0:
        return image, scale
    size = (round(image.shape[1] / scale), max(1, round(image.shape[0] / scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _detections(
    rects: Any, weights: Any, *, scale: float, confidence: float, label: str
) -> list[Detection]:
    found = []
    for (x, y, width, height), weight in zip(rects, np.ravel(weights), strict=True):
        score = 1.0 / (1.0 + math.exp(-float(weight)))
        if score >= confidence:
            rect = (x * scale, y * scale, (x + width) * scale, (y + height) * scale)
            found.append(Detection(rect, score, label))
    return found
