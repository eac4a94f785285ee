"""What an orchestrator has done, for the session's status."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFigures:
    """One object's sightings. Dates are ISO 8601 in UTC."""

    object_id: int
    cameras: tuple[str, ...]
    intervals: int
    frames: int
    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorFigures:
    """Counts since the orchestrator was opened, except where said."""

    cameras: int
    """Processors connected and named."""
    clients: int
    """Clients connected and admitted."""
    objects_live: int
    objects_ever: int
    """Ids ever given, earlier runs included."""
    boxes_in: int
    """`boundingBoxes` messages of processors."""
    boxes_out: int
    """The same, once for each client that was meant to get it."""
    dropped: int
    """Of these, replaced by a newer one because the client was slow."""
    trouble: str
    """Why timelines cannot be written at present; empty where they can."""
    timelines_total: int
    """Objects ever sighted, earlier runs included."""
    timelines: tuple[TimelineFigures, ...]
    """The first ten of them, by id."""
