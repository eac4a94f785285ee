"""OpenCV's own detectors: refused by name where it lacks them, else heard."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from podstream_dev.shell import ROOT
from podstream_workloads.tracking.edge.detectors.classic import FACES, Haar, Hog
from podstream_workloads.tracking.edge.detectors.make import make_detector
from podstream_workloads.tracking.edge.errors import DetectorUnavailable
from podstream_workloads.tracking.edge.settings import DetectorSettings, Method
from tracking.oracles import ask


class Answering:
    """Stands for OpenCV 4's classes: gives set rectangles, notes what it was shown."""

    def __init__(self, *_: Any) -> None:
        self.shown: tuple[int, ...] = ()

    def setSVMDetector(self, _: Any) -> None:  # noqa: N802
        pass

    def detectMultiScale(self, image: Any, **_: Any) -> Any:  # noqa: N802
        self.shown = image.shape
        return np.array([[10, 20, 30, 60], [1, 1, 9, 9]]), np.array([[2.0], [-1.0]])

    def detectMultiScale3(self, image: Any, **_: Any) -> Any:  # noqa: N802
        rects, weights = self.detectMultiScale(image)
        return rects, np.array([1, 1]), weights


def library(tmp_path: Path) -> SimpleNamespace:
    (tmp_path / FACES).write_text("cascade")
    return SimpleNamespace(
        __version__="4.99",
        HOGDescriptor=Answering,
        HOGDescriptor_getDefaultPeopleDetector=lambda: None,
        CascadeClassifier=Answering,
        data=SimpleNamespace(haarcascades=str(tmp_path)),
    )


@pytest.mark.parametrize(("kind", "label"), [(Hog, "person"), (Haar, "face")])
def test_sure_answers_become_detections_in_pixels_of_the_picture(
    tmp_path: Path, kind: type[Hog | Haar], label: str
) -> None:
    detector = kind(confidence=0.5, library=library(tmp_path))

    (found,) = detector.detect(np.zeros((480, 1280, 3), np.uint8))

    # Looked at in half the size; a margin of 2 is a certainty of 0.88, one of -1 is none.
    assert found.rect == (20, 40, 80, 160)
    assert found.score == pytest.approx(1 / (1 + math.exp(-2)))
    assert found.label == label
    assert detector.detect(np.zeros((40, 40, 3), np.uint8)) == [] or label == "face"


@pytest.mark.parametrize("kind", [Hog, Haar])
def test_an_opencv_without_them_is_named(kind: type[Hog | Haar]) -> None:
    with pytest.raises(DetectorUnavailable, match=r"OpenCV 5\.1 has no .*; opencv-python-headless"):
        kind(library=SimpleNamespace(__version__="5.1"))


def test_an_opencv_without_the_cascades_files_is_named(tmp_path: Path) -> None:
    lacking = library(tmp_path)
    (tmp_path / FACES).unlink()

    with pytest.raises(DetectorUnavailable, match=f"ships no {FACES}"):
        Haar(library=lacking)


@pytest.mark.parametrize(
    ("method", "part"), [(Method.HOG, "HOGDescriptor"), (Method.HAAR, "CascadeClassifier")]
)
def test_they_are_made_where_the_installed_opencv_has_them(method: Method, part: str) -> None:
    settings = DetectorSettings(method=method)
    if hasattr(cv2, part):
        assert make_detector(settings).name == method.value.lower()
        return
    with pytest.raises(DetectorUnavailable, match=part):
        make_detector(settings)


@pytest.mark.long
def test_both_run_on_opencv_4() -> None:
    answer = ask(
        "tracking-opencv4",
        Path(__file__).parent / "classic_peer.py",
        {},
        path=(ROOT / "workloads",),
    )

    assert answer == {
        "hog": ["opencv-4.14.0", True, True],
        "haar": ["opencv-4.14.0", True, True],
    }
