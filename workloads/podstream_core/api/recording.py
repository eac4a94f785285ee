"""Keeping a stream's frames as video files: `spec.stream.recording`, and what became of it."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from podstream_core.api.base import ApiValue
from podstream_core.api.image_batch import ClaimPath

SHOWN_RECORDINGS: Final = 10
"""Files in status, the first ones; all of them are artefacts."""
SHOWN_WAITING: Final = 5
"""Names in status of files that wait for their upload."""
SCRATCH_MAX_BYTES: Final = 192 << 20
"""What recordings may take of a pod's own disk, whose bound evicts the pod."""

_PLACE: Final = r"\{(session|name|time|index)\}"
_PATTERN: Final = rf"^([A-Za-z0-9]|{_PLACE})([A-Za-z0-9._-]|{_PLACE})*$"


_BUCKET: Final = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_PREFIX: Final = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"
_ENDPOINT: Final = r"^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?$"


class RecordingCodec(StrEnum):
    """How frames are compressed, and with it the kind of file."""

    XVID = "XVID"
    """MPEG-4 part 2 with the tag XVID, in AVI: as the original server."""
    MJPG = "MJPG"
    """One JPEG a frame, in AVI."""
    H264 = "H264"
    """H.264, in MP4."""

    @property
    def extension(self) -> str:
        """Of the file's name, with its dot."""
        return ".mp4" if self.is_fragmented else ".avi"

    @property
    def is_fragmented(self) -> bool:
        """Whether a file can be played while it is written."""
        return self is RecordingCodec.H264


class SecretRef(ApiValue, frozen=True, kw_only=True):
    """A Secret of the session's namespace."""

    name: str


class S3Storage(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.recording.s3`: a bucket that finished files are copied to."""

    bucket: Annotated[str, Meta(max_length=63, pattern=_BUCKET)]
    credentials_secret_ref: SecretRef
    """With the keys `accessKeyID`, `secretAccessKey`, and where there are any `sessionToken` and
    `ca.crt`; no other key is mounted."""
    endpoint: Annotated[str, Meta(max_length=253, pattern=_ENDPOINT)] | None = None
    """URL of the server, whose buckets are path segments; without it Amazon's of the region."""
    region: Annotated[str, Meta(min_length=1, max_length=64)] = "us-east-1"
    prefix: Annotated[str, Meta(max_length=200, pattern=_PREFIX)] | None = None
    """Before `<session UID>/<file>`."""
    finish_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    """How long the pod waits at its session's end for what is not copied yet."""


class Recording(ApiValue, frozen=True, kw_only=True):
    """`spec.stream.recording`."""

    enabled: bool = True
    """Can be changed while the session lives."""
    codec: RecordingCodec = RecordingCodec.XVID
    segment_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """A file is finished after so long, and the next one begun."""
    max_bytes: Annotated[int, Meta(ge=1_048_576, le=1_099_511_627_776)] = 134_217_728
    """Of all files together; reaching it ends the recording, not the stream."""
    file_name: Annotated[str, Meta(min_length=1, max_length=60, pattern=_PATTERN)] = (
        "{session}_video_{time}"
    )
    """Without extension; `{session}`, `{name}`, `{time}` and `{index}` are filled in."""
    volume: ClaimPath | None = None
    """Where files are kept; without it on the pod's own disk, which goes with the pod."""
    s3: S3Storage | None = None
    """Where finished files are copied to; of those the oldest leave the disk for new ones."""


class StopReason(StrEnum):
    """Why a recording ended although it is enabled."""

    BUDGET = "DiskBudget"
    DISK_FULL = "DiskFull"
    STORAGE = "StorageFailed"
    ENCODER = "EncoderFailed"
    FILES = "FileLimit"


class UploadResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.stream.recording.upload`: the way of finished files to their bucket."""

    files: int = 0
    """That are in the bucket."""
    bytes: int = 0
    """Of them."""
    waiting: int = 0
    """Finished files that are not in the bucket."""
    waiting_names: list[str] = []
    """The first of those."""
    message: str | None = None
    """Why the last attempt failed; none once one has succeeded."""


class RecordingResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.stream.recording`: figures over all files of the session."""

    active: bool = False
    """Whether frames that come are recorded."""
    stop_reason: StopReason | None = None
    message: str | None = None
    files: int = 0
    """Finished ones."""
    frames: int = 0
    """In finished files."""
    frames_dropped: int = 0
    """That came while the encoder was behind."""
    bytes: int = 0
    """Of finished files."""
    upload: UploadResults | None = None
    """Set where finished files are copied to a bucket."""
    playlist: str | None = None
    """Artefact that HLS players open, once there is something to play."""


class RecordingFile(ApiValue, frozen=True, kw_only=True):
    """A finished file; the artefact `stream-<name>`."""

    name: str
    frames: int
    seconds: float
    """Playing time."""
    bytes: int
    sha256: str
    """Hexadecimal."""
    url: str | None = None
    """`s3://<bucket>/<key>`, once it is there."""
