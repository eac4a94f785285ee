"""The stream workload: raw pictures pushed over TCP."""

from enum import StrEnum
from typing import Annotated, Final

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
    FILE = "File"
    """The pod plays a video file."""
    RTSP = "RTSP"
    """The pod pulls the video of a camera or server."""
    WHIP = "WHIP"
    """A client publishes over WebRTC."""


_FILE_PATH: Final = r"^[^\\]+$"
_RTSP_URL: Final = r"^rtsps?://[^/\s]+(/\S*)?$"


class StreamFile(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.source.file`."""

    path: Annotated[str, Meta(min_length=1, max_length=512, pattern=_FILE_PATH)]
    """Below the claim's root; without a claim an absolute path in the session's image."""
    claim_name: str | None = None
    """PersistentVolumeClaim of the session's namespace, mounted read-only."""
    loop: bool = False


class StreamRtsp(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.source.rtsp`."""

    url: Annotated[str, Meta(max_length=512, pattern=_RTSP_URL)]
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 5
    """For the connection, and for each read from it."""


class StreamSource(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.source`."""

    type: SourceType = SourceType.PUSH
    fps: Annotated[int, Meta(ge=1, le=120)] = 30
    """Of Synthetic."""
    frames: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """Of what the pod makes or fetches itself: done after so many; 0: Synthetic and RTSP never are,
    a file at its end."""
    file: StreamFile | None = None
    """Of File."""
    rtsp: StreamRtsp | None = None
    """Of RTSP."""

    @property
    def is_client(self) -> bool:
        """Whether frames come from a client."""
        return self.type in (SourceType.PUSH, SourceType.WHIP)

    @property
    def is_finite(self) -> bool:
        """Whether it ends by itself."""
        plays_once = self.type is SourceType.FILE and self.file is not None and not self.file.loop
        return not self.is_client and (self.frames > 0 or plays_once)


class FrameChoice(StrEnum):
    """Which frames somebody gets."""

    RAW = "Raw"
    """As they came."""
    PROCESSED = "Processed"
    """After the operations."""


class PostProcess(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.postProcess`."""

    operations: Annotated[
        list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1, max_length=16)
    ]
    """As `podstream-image --apply` takes them: `turn=1`, `resize=800x0`."""
    viewers: FrameChoice = FrameChoice.PROCESSED
    recording: FrameChoice = FrameChoice.RAW


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
    post_process: PostProcess | None = None
    """What is done to frames, beside the stream's way."""


class StreamSourceResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.stream.source`: the way of video that is decoded here, RTSP or WHIP."""

    connected: bool = False
    connections: int = 0
    """Made so far."""
    frames_dropped: int = 0
    """Decoded ones that a newer one replaced, because the pod was behind."""
    codec: str | None = None
    width: int | None = None
    """Pixels, as they come; frames have those of the spec."""
    height: int | None = None
    message: str | None = None
    """Why there is no connection now."""


class StreamResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.stream`."""

    state: StreamState = StreamState.RUNNING
    """What the pod does, which follows `spec.stream.state`."""
    frames_received: int = 0
    """Whole frames, of all connections of the publisher."""
    bytes_received: int = 0
    frames_per_second: float | None = None
    """Over the last frames, by their arrival."""
    frames_processed: int = 0
    """That have come out of the operations; those that came meanwhile were left out."""
    frames_discarded: int = 0
    """Whole frames that came while the stream was stopped."""
    incomplete_frames: int = 0
    """Frames that a connection ended in; their bytes are dropped, the next frame starts anew."""
    suspected_width: int | None = None
    """Width that the pictures seem to have where it is not `spec.stream.width`."""
    viewers: int = 0
    """Connected now."""
    source: StreamSourceResults | None = None
    """Set for RTSP and WHIP."""
    recording: RecordingResults | None = None
    """Set where the spec has a recording."""
    recordings: list[RecordingFile] = []
    """The first finished files, in the order in which they were begun."""
