"""The volume that keeps a session's recordings (`spec.stream.recording.volume`)."""

from podstream_core import names
from podstream_core.api import CommonSpec
from podstream_operator.resources.volumes import NO_VOLUMES, PodVolumes, claim, mounted

NAME = "recordings"


def recording_volume(spec: CommonSpec) -> PodVolumes:
    """The claim, whole; the folder on it is the workload's affair. None for other sessions."""
    recording = spec.stream.recording if spec.stream is not None else None
    if recording is None or recording.volume is None:
        return NO_VOLUMES
    return mounted(NAME, claim(recording.volume.claim_name), path=names.RECORDINGS)
