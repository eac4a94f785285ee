"""All volumes of a session pod: what its workloads read and keep."""

from podstream_core.api import CommonSpec
from podstream_operator.resources.batch_volumes import batch_volumes
from podstream_operator.resources.recording_volume import recording_volume
from podstream_operator.resources.source_volume import source_volume
from podstream_operator.resources.tracking_volumes import tracking_volumes
from podstream_operator.resources.volumes import PodVolumes


def own_volumes(spec: CommonSpec) -> PodVolumes:
    """Those that the spec asks for, beside the pod's scratch space."""
    return (
        batch_volumes(spec) + recording_volume(spec) + source_volume(spec) + tracking_volumes(spec)
    )
