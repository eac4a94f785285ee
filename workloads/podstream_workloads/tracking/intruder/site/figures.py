"""What an edge counts, and the frozen copy that its results are."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from podstream_workloads.tracking.intruder.cloud.client import CloudClientFigures
from podstream_workloads.tracking.intruder.verdict import Outcome


@dataclass(frozen=True, slots=True)
class IntruderEdgeFigures:
    """What has happened at a site; numbers of frames unless said otherwise."""

    connections: int
    """Sockets now."""
    connections_ever: int
    frames: int
    """Accepted."""
    processed: int
    """Done with; `frames` = processed + dropped + waiting + in work."""
    dropped: int
    """Gave way to newer ones before anybody looked at them."""
    waiting: int
    undecodable: int
    failed: int
    """The detector raised an error."""
    refused: int
    """Frames and messages that were not accepted."""
    refused_by_reason: dict[str, int]
    with_persons: int
    persons: int
    """People seen, over all frames."""
    requests: int
    """Pictures for which the cloud was asked."""
    known: int
    unknown: int
    undetermined: int
    intruders: int
    """Alarms sent."""
    last_alarm: datetime | None
    last_reason: str
    """Why the last undetermined picture was one."""
    cloud_dropped: int
    """Pictures that gave way to newer ones before the cloud was asked."""
    cloud_failed: int
    """Pictures given up after all tries."""
    detector: str
    edge_ms: float | None
    """Median of the last 500 looks at a frame."""
    cloud_ms: float | None
    """Median of the last 500 answers of the cloud."""
    round_ms: float | None
    """Median of the last 500 frames, from arrival to `frame_processed`."""


@dataclass(slots=True)
class DoorTally:
    """What came in, as counters."""

    connections: int = 0
    connections_ever: int = 0
    frames: int = 0
    dropped: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally(DoorTally):
    """The counters of an edge."""

    processed: int = 0
    looked_at: int = 0
    undecodable: int = 0
    failed: int = 0
    with_persons: int = 0
    persons: int = 0
    requests: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    intruders: int = 0
    last_alarm: datetime | None = None
    last_reason: str = ""

    def figures(
        self,
        *,
        waiting: int,
        cloud: CloudClientFigures,
        detector: str,
        edge_ms: float | None,
        cloud_ms: float | None,
        round_ms: float | None,
    ) -> IntruderEdgeFigures:
        """A frozen copy."""
        return IntruderEdgeFigures(
            connections=self.connections,
            connections_ever=self.connections_ever,
            frames=self.frames,
            processed=self.processed,
            dropped=self.dropped,
            waiting=waiting,
            undecodable=self.undecodable,
            failed=self.failed,
            refused=self.refused.total(),
            refused_by_reason=dict(self.refused),
            with_persons=self.with_persons,
            persons=self.persons,
            requests=self.requests,
            known=self.outcomes[Outcome.KNOWN],
            unknown=self.outcomes[Outcome.UNKNOWN],
            undetermined=self.outcomes[Outcome.UNDETERMINED],
            intruders=self.intruders,
            last_alarm=self.last_alarm,
            last_reason=self.last_reason,
            cloud_dropped=cloud.dropped,
            cloud_failed=cloud.failed,
            detector=detector,
            edge_ms=edge_ms,
            cloud_ms=cloud_ms,
            round_ms=round_ms,
        )
