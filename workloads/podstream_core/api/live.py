"""The members of a spec that a running workload follows.

This is the one list of them. The CRD lets exactly these change on a session that exists (beside
the operator's own time limits), the operator sends them to the session's pod, and the pod says
which ones it follows.
"""

from typing import Self

from podstream_core.api.base import ApiValue
from podstream_core.api.session import CommonSpec
from podstream_core.api.stream import StreamState


class LiveStream(ApiValue, frozen=True, kw_only=True):
    """Of `spec.stream`."""

    state: StreamState = StreamState.RUNNING
    recording: bool = False
    """`recording.enabled`; false where the spec has no recording."""


class LiveSpec(ApiValue, frozen=True, kw_only=True):
    """Live members of all workloads; unset for those that the session does not have."""

    stream: LiveStream | None = None

    @classmethod
    def of(cls, spec: CommonSpec) -> Self:
        """The live members of a spec."""
        stream = spec.stream
        if stream is None:
            return cls()
        recording = stream.recording
        return cls(
            stream=LiveStream(
                state=stream.state, recording=recording is not None and recording.enabled
            )
        )
