"""Settings of the edge, of its way to the cloud, and of the cloud."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from podstream_workloads.tracking.intruder.pictures import PictureLimits


class Send(StrEnum):
    """What the cloud is shown of a frame with people."""

    CROPS = "Crops"
    """Each person's surroundings, the surest first."""
    FRAME = "Frame"
    """All of it, once."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """What frames may come in by Socket.IO."""

    max_connections: int = 16
    """Sockets at a time, alarms too."""
    max_message_bytes: int = 16 * 1024 * 1024
    """`max_http_buffer_size`: a longer message costs its sender the socket."""
    limits: PictureLimits = field(default_factory=PictureLimits)
    """Of a frame; one with more bytes is refused by `frame_refused`, and its socket lives on."""
    frames_per_camera: int = 32
    """Frames that wait, per camera; one more drops the oldest."""
    max_waiting_bytes: int = 64 * 1024 * 1024
    """Of all waiting frames; beyond it the fullest camera's oldest go."""
    camera_frames_per_s: float = 30.0
    """Messages of one socket a second, in the long run; beyond it that socket is read more slowly,
    and a frame that comes meanwhile is refused."""
    camera_burst: int = 128
    """Messages of one socket at once."""
    newest_wins: bool = False
    """One more socket takes the place of the oldest, perhaps a lost one; else it is refused."""


@dataclass(frozen=True, slots=True)
class IntruderEdgeSettings(DoorSettings):
    """A site's edge: cameras and alarms dial in by Socket.IO."""

    confidence: float = 0.5
    """Least score of a detection that counts as a person."""
    labels: tuple[str, ...] = ()
    """Kinds of detections that count; empty: all that the detector reports."""
    send: Send = Send.CROPS
    max_crops: int = 4
    """Crops of one frame that are sent."""
    crop_margin: float = 0.2
    """Surroundings of a crop on each side, as a share of its own size: faces need their edge."""
    jpeg_quality: int = 92
    """Of crops."""
    evidence: Path | None = None
    """Folder for frames with intruders, `intruder_<date>_<time>.jpg`; `None` keeps none."""
    max_evidence: int = 100
    """Pictures in that folder; one more deletes the oldest."""
    max_evidence_bytes: int = 64 * 1024 * 1024
    """Of all of them; beyond it the oldest go, too."""
    upload_page: bool = False
    """Serve the page that sends a picture as a camera would, and plots latencies."""


@dataclass(frozen=True, slots=True)
class CloudClientSettings:
    """The way from an edge to its cloud."""

    url: str
    """Base address: `/detect_intruder` is added."""
    token_file: Path | None = None
    """A bearer token, read anew for every request, so that it may be renewed."""
    ca_file: Path | None = None
    """Certificates that `https` trusts instead of the system's."""
    device_id: str = "1"
    """Sent as `device_id`."""
    timeout_s: float = 5.0
    """Of one try."""
    deadline_s: float = 10.0
    """From being asked to giving up: waiting, all tries and pauses."""
    tries: int = 3
    pause_s: float = 0.2
    """Before the second try; doubles with each further one."""
    requests_per_s: float = 10.0
    burst: int = 20
    backlog: int = 16
    """Pictures that wait; one more drops the oldest."""
    concurrency: int = 2
    """Requests under way at once."""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """The service that says whose face it is."""

    limits: PictureLimits = field(default_factory=PictureLimits)
    max_concurrent: int = 8
    """Pictures in work at once; one more is answered 503."""
    upload_page: bool = False
