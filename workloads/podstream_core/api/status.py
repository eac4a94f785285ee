"""`status` of a StreamSession."""

from datetime import datetime
from enum import StrEnum

from podstream_core.api.base import ApiValue
from podstream_core.api.circle import CircleResults
from podstream_core.api.image_ops import ImageOpsResults
from podstream_core.api.stream import StreamResults
from podstream_core.api.tracking_results import TrackingResults


class Phase(StrEnum):
    """Where a session stands, for people; logic reads conditions and facts."""

    PENDING = "Pending"
    STARTING = "Starting"
    READY = "Ready"
    CONNECTED = "Connected"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """Whether the session never changes again."""
        return self in (Phase.COMPLETED, Phase.FAILED)


class ConditionType(StrEnum):
    """Conditions of a session."""

    READY = "Ready"
    """Summary: the session's pod is assigned and a client can connect."""
    POD_READY = "PodReady"
    CONNECTED = "Connected"
    COMPLETED = "Completed"


class Condition(ApiValue, frozen=True, kw_only=True):
    """One condition, as `metav1.Condition`."""

    type: ConditionType
    status: str
    """True, False or Unknown."""
    reason: str
    message: str = ""
    last_transition_time: datetime | None = None
    observed_generation: int = 0


class Endpoint(ApiValue, frozen=True, kw_only=True):
    """One way to reach the session through the router."""

    protocol: str
    """WHEP, Signalling or gRPC."""
    url: str
    """From outside the cluster."""
    cluster_url: str
    """From a pod."""


class Origin(StrEnum):
    """How the session got its pod."""

    WARM = "Warm"
    COLD = "Cold"


class PodStatus(ApiValue, frozen=True, kw_only=True):
    """The session's pod."""

    name: str
    uid: str | None = None
    node: str | None = None
    origin: Origin = Origin.COLD
    restarts: int = 0
    """Replacement pods used so far."""


class AccessStatus(ApiValue, frozen=True, kw_only=True):
    """Where the client's token lies."""

    secret_name: str | None = None


class ConnectionStatus(ApiValue, frozen=True, kw_only=True):
    """The first connection that the session's pod has admitted."""

    protocol: str
    """WHEP, Signalling or gRPC."""
    client_address: str | None = None
    """Where it came from, as the router saw it."""


class Timeline(ApiValue, frozen=True, kw_only=True):
    """When the session passed each step, with microseconds."""

    applied_at: datetime | None = None
    assigned_at: datetime | None = None
    pod_ready_at: datetime | None = None
    ready_at: datetime | None = None
    connected_at: datetime | None = None
    first_frame_at: datetime | None = None
    completed_at: datetime | None = None


class Results(ApiValue, frozen=True, kw_only=True):
    """What the session measured."""

    final: bool = False
    """Whether these are the last figures; `false` after a pod was lost."""
    observed_at: datetime | None = None
    circle: CircleResults | None = None
    image_ops: ImageOpsResults | None = None
    stream: StreamResults | None = None
    tracking: TrackingResults | None = None


class SessionStatus(ApiValue, frozen=True, kw_only=True):
    """`status` of a StreamSession; written by the operator alone."""

    observed_generation: int = 0
    phase: Phase | None = None
    reason: str | None = None
    """Reason of the terminal phase; stays after clean-up."""
    message: str | None = None
    workloads: str | None = None
    """Names of the spec's workloads, joined by commas: a printer column shows no list."""
    conditions: list[Condition] = []
    endpoints: list[Endpoint] = []
    pod: PodStatus | None = None
    access: AccessStatus | None = None
    connection: ConnectionStatus | None = None
    timeline: Timeline = Timeline()
    results: Results | None = None

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of this type, where it is set."""
        return next((item for item in self.conditions if item.type == kind), None)
