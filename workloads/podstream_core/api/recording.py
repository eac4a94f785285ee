"""Keeping a stream's frames as video files: `spec.stream.recording`, and what became of it."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from podstream_core.api.base import ApiValue
from podstream_core.api.image_batch import ClaimPath

SHOWN_RECORDINGS: Final = 10
"""Files in status, the first ones; all of them are artefacts."""
SCRATCH_MAX_BYTES: Final = 192 << 20
"""What recordings may take of a pod's own disk, whose bound evicts the pod."""

_PLACE: Final = r"\{(session|name|time|index)\}"
_PATTERN: Final = rf"^([A-Za-z0-9]|{_PLACE})([A-Za-z0-9._-]|{_PLACE})*$"


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
        return ".mp4" if self is RecordingCodec.H264 else ".avi"


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


class StopReason(StrEnum):
    """Why a recording ended although it is enabled."""

    BUDGET = "DiskBudget"
    DISK_FULL = "DiskFull"
    STORAGE = "StorageFailed"
    ENCODER = "EncoderFailed"
    FILES = "FileLimit"


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


class RecordingFile(ApiValue, frozen=True, kw_only=True):
    """A finished file; the artefact `stream-<name>`."""

    name: str
    frames: int
    seconds: float
    """Playing time."""
    bytes: int
    sha256: str
    """Hexadecimal."""
