"""Which session pods begin connections of their own: the chart's policy selects them by a label."""

from podstream_core import names
from podstream_core.api import CameraSourceType, CommonSpec, SourceType


def pulls_label(spec: CommonSpec) -> dict[str, str]:
    """The label of a pod that pulls its video; none on all others."""
    stream = spec.stream
    camera = None if spec.tracking is None else spec.tracking.camera
    if (stream is None or stream.source.type is not SourceType.RTSP) and (
        camera is None or camera.source.type is not CameraSourceType.RTSP
    ):
        return {}
    return {names.LABEL_PULLS: SourceType.RTSP.value}


def dials_label(spec: CommonSpec) -> dict[str, str]:
    """The label of a pod that reaches another session; none on all others."""
    if spec.tracking is None or spec.tracking.dials is None:
        return {}
    return {names.LABEL_DIALS: names.DIALS_ROUTER}


def asks_label(spec: CommonSpec) -> dict[str, str]:
    """The label of a pod that asks a service outside of podstream; none on all others."""
    tracking = spec.tracking
    if tracking is None:
        return {}
    site = tracking.orchestrator
    if site is not None and site.timelines.postgresql is not None:
        return {names.LABEL_ASKS: names.ASKS_POSTGRESQL}
    cloud = tracking.recognition
    if cloud is not None and cloud.rekognition is not None:
        return {names.LABEL_ASKS: names.ASKS_REKOGNITION}
    return {}


def stores_label(spec: CommonSpec) -> dict[str, str]:
    """The label of a pod that copies its recordings to a bucket; none on all others."""
    recording = spec.stream.recording if spec.stream is not None else None
    if recording is None or recording.s3 is None:
        return {}
    return {names.LABEL_STORES: names.STORES_S3}


def egress_labels(spec: CommonSpec) -> dict[str, str]:
    """All of them."""
    return {**pulls_label(spec), **dials_label(spec), **asks_label(spec), **stores_label(spec)}
