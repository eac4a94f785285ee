"""The stream workload: raw pictures pushed over TCP."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from podstream_core.api.base import ApiValue
from podstream_core.api.recording import Recording, RecordingFile, RecordingResults


class StreamState(StrEnum):
    """What becomes of a publisher's frames."""

    RUNNING = "Running"
    STOPPED = "Stopped"
    """They are read and dropped."""


class SourceType(StrEnum):
    """Where frames come from."""

    PUSH = "Push"
    """A client pushes them over TCP."""
    SYNTHETIC = "Synthetic"
    """The pod draws a moving pattern."""


class StreamSource(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.source`."""

    type: SourceType = SourceType.PUSH
    fps: Annotated[int, Meta(ge=1, le=120)] = 30
    """Of Synthetic."""
    frames: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """Of Synthetic: the workload is done after so many; 0: it never is."""


class Stream(ApiValue, frozen=True, kw_only=True):
    """`spec.stream`."""

    width: Annotated[int, Meta(ge=16, le=7680)] = 640
    """Pixels of a row; a publisher's raw frames are BGR, 8 bits, without any header."""
    height: Annotated[int, Meta(ge=16, le=4320)] = 480
    """Rows of a frame."""
    source: StreamSource = StreamSource()
    state: StreamState = StreamState.RUNNING
    """Can be changed while the session lives."""
    max_viewers: Annotated[int, Meta(ge=0, le=100)] = 1
    """Who may look on at once; viewers never take the publisher's place."""
    recording: Recording | None = None
    """Whether and how frames are kept as video files; without it they never are."""

    @property
    def is_pushed(self) -> bool:
        """Whether frames come from a client."""
        return self.source.type is SourceType.PUSH


class StreamResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.stream`."""

    state: StreamState = StreamState.RUNNING
    """What the pod does, which follows `spec.stream.state`."""
    frames_received: int = 0
    """Whole frames, of all connections of the publisher."""
    bytes_received: int = 0
    frames_per_second: float | None = None
    """Over the last frames, by their arrival."""
    frames_discarded: int = 0
    """Whole frames that came while the stream was stopped."""
    incomplete_frames: int = 0
    """Frames that a connection ended in; their bytes are dropped, the next frame starts anew."""
    suspected_width: int | None = None
    """Width that the pictures seem to have where it is not `spec.stream.width`."""
    viewers: int = 0
    """Connected now."""
    recording: RecordingResults | None = None
    """Set where the spec has a recording."""
    recordings: list[RecordingFile] = []
    """The first finished files, in the order in which they were begun."""
