"""The volume that keeps a session's recordings (`spec.stream.recording.volume`)."""

from podstream_core import names
from podstream_core.api import CommonSpec
from podstream_operator.resources.volumes import PodVolumes

NAME = "recordings"


def recording_volume(spec: CommonSpec) -> PodVolumes:
    """The claim, whole; the folder on it is the workload's affair. None for other sessions."""
    recording = spec.stream.recording if spec.stream is not None else None
    if recording is None or recording.volume is None:
        return PodVolumes([], [])
    claim = {"claimName": recording.volume.claim_name}
    return PodVolumes(
        [{"name": NAME, "persistentVolumeClaim": claim}],
        [{"name": NAME, "mountPath": f"{names.VOLUMES_PATH}/{names.RECORDINGS}"}],
    )
