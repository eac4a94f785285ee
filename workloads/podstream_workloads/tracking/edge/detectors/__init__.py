"""Detectors behind one interface; each lives in the module of its name."""

from podstream_workloads.tracking.edge.detectors.base import Detection, Detector, Picture, Rect

__all__ = ["Detection", "Detector", "Picture", "Rect"]
