"""What a camera's edge is told: where pictures come from, how it looks, whom it reports to."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from podstream_workloads.tracking.edge.background import MotionSettings
from podstream_workloads.tracking.edge.tracker import TrackerSettings


class Method(StrEnum):
    """Detectors, by the names that a spec uses."""

    MOTION = "Motion"
    ONNX = "Onnx"
    HOG = "Hog"
    HAAR = "Haar"


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Which detector, and when it is believed."""

    method: Method = Method.MOTION
    confidence: float = 0.5
    """Detections from this score on may begin a track, 0 to 1."""
    model: Path | None = None
    """`Onnx`: file in YOLOv8's layout."""
    labels: tuple[str, ...] = ()
    """`Onnx`: kinds of things to report; all that the model knows by default."""
    input_size: int = 640
    """`Onnx`: side of the model's input, pixels, where the model leaves it open."""
    overlap: float = 0.5
    """`Onnx`: of two boxes of one kind that overlap by more, only the surer one stays."""
    cpu_limit: float = 1.0
    """Processors that the pod may use; threads are made for these, not for the host's."""

    @property
    def threads(self) -> int:
        """Threads of one inference."""
        return max(1, math.ceil(self.cpu_limit))


class SourceType(StrEnum):
    """Where pictures come from."""

    FILE = "File"
    RTSP = "RTSP"
    SYNTHETIC = "Synthetic"
    FED = "Fed"
    """Somebody else fills the slot: a WebRTC or Socket.IO connection."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A camera's pictures."""

    type: SourceType = SourceType.FED
    url: str = ""
    """Path of a file or URL of a stream."""
    loop: bool = False
    """`File`: begin again at its end, on a clock that goes on."""
    every_frame: bool = False
    """`File`: as fast as they are worked on and none left out, for runs against truth."""
    fps: float = 10.0
    """Most frames per second that are taken from the stream; 0 takes all."""
    timeout_s: float = 10.0
    """`RTSP`: without a picture for so long the connection is made anew."""
    max_pixels: int = 3840 * 2160
    """Larger pictures are refused."""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """One camera's edge."""

    detector: DetectorSettings = field(default_factory=DetectorSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    tracker: TrackerSettings | None = None
    """Defaults to trackers' defaults with the detector's confidence as `high`."""
    recheck_s: float = 2.0
    """The whole picture is looked at so often even if nothing moves; not with `Motion`."""
    hold_s: float = 300.0
    """The background under somebody who stands still is not learnt for so long."""

    @property
    def tracks(self) -> TrackerSettings:
        """The tracker's settings."""
        return self.tracker or TrackerSettings(high=self.detector.confidence)


@dataclass(frozen=True, slots=True)
class ProcessorSettings:
    """The way to the site's orchestrator."""

    url: str
    """Of `/processor`: ws:// or wss://."""
    camera_id: str
    """The processor's `identifier`, by which clients name the camera."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with the WebSocket's request."""
    bearer_file: Path | None = None
    """Holds the token that the router asks for (`Authorization`); read anew at each connection."""
    token_file: Path | None = None
    """Holds the token of `authenticate`; read anew at each connection and when it changes."""
    ca_file: Path | None = None
    """Certificates that wss:// is judged by; the system's by default."""
    buffered: int = 256
    """Messages of boxes that wait while there is no connection; then the oldest go."""
    first_retry_s: float = 0.5
    last_retry_s: float = 10.0
    """Pauses between attempts double from the first to the last, each shortened at random."""


@dataclass(frozen=True, slots=True)
class ReidentifySettings:
    """When a track is taken for an object that is looked for. Distances are 0 to 2."""

    ratio: float = 0.7
    """The best distance is at most so much of the second best."""
    far: float = 0.25
    """Above, nothing is the same, whatever the ratio."""
    near: float = 0.06
    """Where there is no second best to compare with, the distance is at most this."""
    settle_s: float = 0.5
    """A track is watched for so long before it is compared."""
    min_travel_s: float = 0.0
    """From another camera nobody gets here faster."""
    max_travel_s: float = math.inf
    """Who has not arrived after so long is not looked for here any more."""
    refresh_s: float = 10.0
    """A feature map is sent anew at most so often, when it has changed."""
