"""Detectors of cameras and edges, from the spec."""

from pathlib import Path

from podstream_core import names
from podstream_core.api import TrackingDetector
from podstream_workloads.tracking.edge.settings import DetectorSettings, Method
from podstream_workloads.tracking.members.processors import processor_limit


def detector_settings(spec: TrackingDetector, *, volumes: Path) -> DetectorSettings:
    """Settings of a detector."""
    model = None if spec.model is None else volumes / names.TRACKING_MODEL / spec.model.path
    return DetectorSettings(
        method=Method(spec.method.value),
        confidence=spec.confidence,
        model=model,
        cpu_limit=processor_limit(),
    )
