"""From settings to a detector."""

from podstream_workloads.tracking.edge.detectors.base import Detector
from podstream_workloads.tracking.edge.detectors.classic import Haar, Hog
from podstream_workloads.tracking.edge.detectors.motion import Motion
from podstream_workloads.tracking.edge.detectors.onnx import Onnx
from podstream_workloads.tracking.edge.settings import DetectorSettings, Method


def make_detector(settings: DetectorSettings) -> Detector:
    """The detector that settings name; reading a model may take a second.

    Raises:
        DetectorUnavailable: the installed libraries lack it.
        ModelRejected: its model is missing or not laid out as expected.
    """
    match settings.method:
        case Method.MOTION:
            return Motion(confidence=settings.confidence)
        case Method.ONNX:
            return Onnx(settings)
        case Method.HOG:
            return Hog(confidence=settings.confidence)
        case Method.HAAR:
            return Haar(confidence=settings.confidence)
