"""What tracking sessions have seen and done: `status.results.tracking`."""

from datetime import datetime
from typing import Final

from podstream_core.api.base import ApiValue

SHOWN_TIMELINES: Final = 10
"""Objects whose timelines stand in status; all of them are behind `/timelines`."""


class ObjectTimeline(ApiValue, frozen=True, kw_only=True):
    """One of `status.results.tracking.orchestrator.timelines`."""

    object_id: int
    cameras: list[str] = []
    """That saw it, the first eight."""
    intervals: int = 0
    """In which it was seen without a gap."""
    frames: int = 0
    """In which it was seen."""
    first: datetime | None = None
    last: datetime | None = None


class OrchestratorResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking.orchestrator`."""

    cameras: int = 0
    """Connected and named."""
    clients: int = 0
    """Connected and admitted."""
    objects_live: int = 0
    objects_ever: int = 0
    """Ids given, by earlier pods too where they were kept."""
    boxes_in: int = 0
    """Messages of processors."""
    boxes_out: int = 0
    """The same, once for each client that was meant to get it."""
    dropped: int = 0
    """Of these, replaced by a newer one because the client was slow."""
    message: str | None = None
    """Why timelines cannot be written now."""
    timelines_total: int = 0
    """Objects ever seen."""
    timelines: list[ObjectTimeline] = []
    """The first ten, by id."""


class TrackingQuality(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking.camera.quality`: the run against its truth, 1 at best."""

    mota: float | None = None
    """CLEAR MOT; below 0 where more is wrong than there is to find."""
    motp: float | None = None
    """Of CLEAR MOT: mean overlap of matches."""
    idf1: float | None = None
    hota: float | None = None
    frames: int = 0
    """That were judged."""
    switches: int = 0
    """Times that a person's track became another one."""
    misses: int = 0
    """Boxes of the truth without one here."""
    false_positives: int = 0
    people: int = 0
    """In the truth."""


class CameraResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking.camera`."""

    connected: bool = False
    """To its site."""
    connections: int = 0
    frames: int = 0
    """That were worked on."""
    dropped: int = 0
    """That newer ones replaced before."""
    refused: int = 0
    """Pictures and messages of SocketIO that were not accepted."""
    skipped: int = 0
    """Source Stream: that came sooner than `fps` wants them."""
    tracks: int = 0
    """Persons followed, each anew when it returns."""
    present: int = 0
    """In the newest frame."""
    sent: int = 0
    """Messages of boxes."""
    message: str | None = None
    """Why there are no pictures, or no connection."""
    quality: TrackingQuality | None = None
    """At the end of a file with truth."""


class EdgeResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking.edge`; numbers of frames unless said otherwise."""

    connections: int = 0
    """Sockets now."""
    frames: int = 0
    processed: int = 0
    dropped: int = 0
    refused: int = 0
    with_persons: int = 0
    requests: int = 0
    """Pictures for which the cloud was asked."""
    known: int = 0
    unknown: int = 0
    undetermined: int = 0
    intruders: int = 0
    """Alarms sent."""
    last_alarm: datetime | None = None
    last_evidence: str | None = None
    """Name of the newest picture among the session's files."""
    message: str | None = None
    """Why the last undetermined picture was one."""
    edge_ms: float | None = None
    """Medians of the last 500."""
    cloud_ms: float | None = None
    round_ms: float | None = None


class RecognitionResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking.recognition`."""

    requests: int = 0
    known: int = 0
    unknown: int = 0
    undetermined: int = 0
    refused: int = 0
    message: str | None = None
    """Why the last undetermined picture was one."""
    recognise_ms: float | None = None
    """Median of the last 500."""


class TrackingResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking`: the block of the member that the spec has."""

    orchestrator: OrchestratorResults | None = None
    camera: CameraResults | None = None
    edge: EdgeResults | None = None
    recognition: RecognitionResults | None = None
