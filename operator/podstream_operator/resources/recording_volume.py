"""What a session's recordings need of a pod: their volume, and the credentials of their bucket."""

from podstream_core import names
from podstream_core.api import CommonSpec, S3Storage
from podstream_operator.resources.volumes import NO_VOLUMES, PodVolumes, claim, mounted

NAME = "recordings"


def recording_volume(spec: CommonSpec) -> PodVolumes:
    """The claim, whole; the folder on it is the workload's affair. None for other sessions."""
    recording = spec.stream.recording if spec.stream is not None else None
    if recording is None:
        return NO_VOLUMES
    found = NO_VOLUMES
    if recording.volume is not None:
        found += mounted(NAME, claim(recording.volume.claim_name), path=names.RECORDINGS)
    if recording.s3 is not None:
        found += _credentials(recording.s3)
    return found


def _credentials(storage: S3Storage) -> PodVolumes:
    """The keys that the upload needs and no other of the Secret.

    Optional: a Secret that is not there yet is a message in status and not a pod that never starts,
    and the kubelet brings what changes, a minute later or so.
    """
    secret = {
        "secretName": storage.credentials_secret_ref.name,
        "items": [{"key": key, "path": key} for key in names.S3_KEYS],
        "optional": True,
    }
    return mounted("recording-s3", {"secret": secret}, path=names.RECORDING_S3, read_only=True)
