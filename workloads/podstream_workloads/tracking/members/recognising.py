"""Recognisers of a cloud, from the spec."""

from pathlib import Path

from podstream_core import names
from podstream_core.api import Rekognition, TrackingRecognition
from podstream_workloads.agent import SpecRejected
from podstream_workloads.tracking.intruder import Recogniser


def recogniser_of(spec: TrackingRecognition, *, volumes: Path) -> Recogniser:
    """Who says whether a face is known; only its own libraries are loaded.

    Raises:
        SpecRejected: the spec names nobody.
    """
    if spec.rekognition is not None:
        return _rekognition(spec.rekognition, volumes=volumes)
    if spec.gallery is None:
        raise SpecRejected("spec.tracking.recognition says nobody: set gallery or rekognition")
    from podstream_workloads.tracking.intruder.recognisers.local.recogniser import (  # noqa: PLC0415
        LocalRecogniser,
    )

    gallery = volumes / names.TRACKING_GALLERY / spec.gallery.path
    return LocalRecogniser(gallery, threshold=spec.threshold)


def _rekognition(spec: Rekognition, *, volumes: Path) -> Recogniser:
    from podstream_workloads.tracking.intruder.recognisers.rekognition import (  # noqa: PLC0415
        RekognitionRecogniser,
        RekognitionSettings,
    )

    faces = None
    if spec.faces is not None:
        faces = volumes / names.TRACKING_FACES / (spec.faces.path or "")
    return RekognitionRecogniser(
        RekognitionSettings(
            credentials=volumes / names.TRACKING_CREDENTIALS,
            region=spec.region,
            endpoint_url=spec.endpoint_url,
            collection=spec.collection,
            faces=faces,
            threshold=spec.similarity,
            requests_per_s=spec.requests_per_second,
        )
    )
