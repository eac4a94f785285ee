"""The tracking workload: what follows persons from camera to camera."""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta

from podstream_core.api.base import ApiValue

SHOWN_TIMELINES: Final = 10
"""Objects whose timelines stand in status; all of them are behind `/timelines`."""


class PublicKeyRef(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.auth.publicKey`: an object of the session's namespace."""

    secret_name: str | None = None
    config_map_name: str | None = None
    key: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = (
        "public.pem"
    )
    """Key of that object, whose value is an RSA public key in PEM."""


class OrchestratorAuth(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.auth`: tokens of the site's own users, inside its protocol."""

    public_key: PublicKeyRef
    audience: Annotated[str, Meta(min_length=1, max_length=253)]
    """`aud` of a token, and the name under `resource_access` that lists its roles."""
    client_role: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    """Without it clients need no token."""
    processor_role: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    """Without it processors need no token."""
    open_timelines: bool = False


class TimelineVolume(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.timelines.volume`."""

    claim_name: str
    """PersistentVolumeClaim of the session's namespace."""
    path: (
        Annotated[
            str,
            Meta(
                max_length=512,
                pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
            ),
        ]
        | None
    ) = None
    """Folder below its root; `None`: the root."""


class OrchestratorTimelines(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.timelines`."""

    volume: TimelineVolume | None = None
    """Without it objects and timelines go with the pod."""


class TrackingOrchestrator(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator`: a site."""

    max_cameras: Annotated[int, Meta(ge=1, le=256)] = 32
    """Processors at a time."""
    max_clients: Annotated[int, Meta(ge=1, le=1000)] = 64
    max_tracked_seconds: Annotated[int, Meta(ge=0, le=604_800)] = 0
    """Of an object, from its start; 0: without end."""
    idle_seconds: Annotated[int, Meta(ge=0, le=604_800)] = 0
    """Of an object, since it was seen last; 0: without end."""
    compat: bool = False
    auth: OrchestratorAuth | None = None
    timelines: OrchestratorTimelines = OrchestratorTimelines()


class Tracking(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking`: one of its members is set."""

    orchestrator: TrackingOrchestrator | None = None


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
    timelines_total: int = 0
    """Objects ever seen."""
    timelines: list[ObjectTimeline] = []
    """The first ten, by id."""


class TrackingResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.tracking`: the block of the member that the spec has."""

    orchestrator: OrchestratorResults | None = None
