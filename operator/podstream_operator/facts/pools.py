"""What decisions about pools, and about sessions that may take a pool's pod, look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import PoolStatus, StreamSession
from podstream_core.assignment import assignment_id
from podstream_operator.facts.pod import PodFacts
from podstream_operator.facts.rejection import Rejection
from podstream_operator.facts.secret import SecretFacts


class Use(Enum):
    """What a pod of a pool is good for at the moment."""

    STARTING = auto()
    """Its agent has not answered yet."""
    IDLE = auto()
    """Ready for a session."""
    SILENT = auto()
    """Was idle, and its agent has stopped answering: as after the loss of its node."""
    IN_USE = auto()
    """Assigned, or about to be; a session that has not ended is behind it."""
    LINGERING = auto()
    """Keeps the artefacts of a session that has ended."""
    FINISHED = auto()
    """Ended without a session that wants its last words: its object can go."""
    LEAVING = auto()
    """Being deleted, or kept for a session that may still appear."""


@dataclass(frozen=True, slots=True)
class PooledPod:
    """A pod with the pool's label."""

    pod: PodFacts
    use: Use
    fits: bool
    """Whether it has the shape that the template asks for."""
    known_s: float = 0.0
    """For how long this process has known it, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMemory:
    """Volatile knowledge about one pool (by UID)."""

    status: PoolStatus | None = None
    """What this process wrote last."""
    status_at: float | None = None
    """When, on a monotonic clock."""
    failed: frozenset[str] = frozenset()
    """UIDs of pods that never became idle and were counted as failures."""
    failures: int = 0
    """In a row; a pod that becomes idle ends the row."""
    retry_at: datetime | None = None
    """No pod is created before."""
    rejection: Rejection | None = None
    """The API server's last refusal of a pod."""
    excess_since: datetime | None = None
    """Since when there are more idle pods than wanted."""
    secret: SecretFacts | None = None
    secret_checked_at: datetime | None = None
    secret_rejection: Rejection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolObserved:
    """Everything that is known of a pool at one moment, beside the pool itself."""

    pods: Sequence[PooledPod]
    waiting: int
    """Connections that wait for a pod, as the routers say."""
    shape: str
    """Shape of the pods that the template leads to."""
    history: Sequence[StreamSession]
    """Ended sessions that connections have made, oldest first."""
    refused_listeners: Sequence[str]
    """Listeners of the spec that another, older pool has."""
    memory: PoolMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the pools of its namespace have for a session that has no pod."""

    names_pool: bool = False
    """Whether the session names a pool."""
    pool_exists: bool = True
    fits: bool = True
    """Whether the pool's template leads to the pod that the session needs."""
    has_room: bool = True
    """Whether the pool may have another pod."""
    idle: tuple[PodFacts, ...] = ()
    """Warm pods of the right shape whose agents have said that they are idle, oldest first."""
    unsure: bool = False
    """A pod of the right shape has not been asked yet by this process: it may be ours already."""
    claimed: PodFacts | None = None
    """A pod that was assigned to this session and has not been adopted."""
    over_quota: str | None = None
    """Why the session may not run at all, as a sentence."""


NO_OFFER = Offer()


def expected_assignment(session: StreamSession, pod: PodFacts) -> str:
    """The id under which the pod was, or is to be, assigned to the session."""
    return assignment_id(
        session.metadata.annotations, session_uid=session.metadata.uid, pod_uid=pod.uid
    )


def confirms(state: AgentState, *, session: StreamSession, pod: PodFacts) -> bool:
    """Whether an agent's own word makes its pod this session's."""
    return (
        state.assignment_id == expected_assignment(session, pod)
        and state.session is not None
        and state.session.key == session.key
    )


def is_idle(state: AgentState) -> bool:
    """Whether an agent can take a session."""
    return state.phase is AgentPhase.IDLE and state.assignment_id is None
