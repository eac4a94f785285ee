"""The volume that holds the file of a stream's source (`spec.stream.source.file`)."""

from podstream_core import names
from podstream_core.api import CommonSpec
from podstream_operator.resources.volumes import NO_VOLUMES, PodVolumes, claim, mounted

NAME = "source"


def source_volume(spec: CommonSpec) -> PodVolumes:
    """The claim, whole and read-only. None for other sessions."""
    file = spec.stream.source.file if spec.stream is not None else None
    if file is None or file.claim_name is None:
        return NO_VOLUMES
    source = claim(file.claim_name, read_only=True)
    return mounted(NAME, source, path=names.SOURCE, read_only=True)
