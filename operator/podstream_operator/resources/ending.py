"""How long a session pod may take to end."""

from typing import Final

from podstream_core.api import CommonSpec

GRACE_PERIOD_S: Final = 10
"""The agent ends its connections and writes the termination message within this."""


def finish_seconds(spec: CommonSpec) -> int:
    """What the pod may take, beyond what all take, to bring away what only it has."""
    recording = spec.stream.recording if spec.stream is not None else None
    return 0 if recording is None or recording.s3 is None else recording.s3.finish_seconds


def grace_seconds(spec: CommonSpec) -> int:
    """Between the order to end and the kubelet's SIGKILL."""
    return GRACE_PERIOD_S + finish_seconds(spec)
