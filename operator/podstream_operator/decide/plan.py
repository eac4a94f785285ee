"""The vocabulary of decisions."""

from dataclasses import dataclass
from datetime import datetime

from podstream_core.api import LiveSpec, SessionStatus
from podstream_operator.facts import PodFacts


@dataclass(frozen=True, slots=True)
class EnsureSecret:
    """Make the access Secret what it should be."""

    check_first: bool
    """Read it before creating it: it may be there already."""
    expires_at: datetime
    """End of the token."""


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create the session pod after so many replacements."""

    restarts: int


@dataclass(frozen=True, slots=True)
class TakeWarm:
    """Assign the session to the first of these idle pods that accepts, and adopt that pod."""

    pods: tuple[PodFacts, ...]
    restarts: int


@dataclass(frozen=True, slots=True)
class AdoptPod:
    """Take over a pod that was assigned to the session already, if its agent confirms that."""

    pod: PodFacts
    restarts: int


@dataclass(frozen=True, slots=True)
class CreateClient:
    """Create the built-in client's pod that belongs to that session pod."""

    restarts: int


@dataclass(frozen=True, slots=True)
class ContactAgent:
    """Ask the pod's agent for its state; first assign the session to it where that is open."""

    pod: PodFacts
    assign: bool


@dataclass(frozen=True, slots=True)
class UpdateSpec:
    """Tell the agent of members of the spec that have changed."""

    pod: PodFacts
    assignment_id: str
    generation: int
    live: LiveSpec


@dataclass(frozen=True, slots=True)
class DrainAgent:
    """Tell the agent to end its session, so that its results become final."""

    pod: PodFacts
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a pod, by UID."""

    pod: PodFacts


@dataclass(frozen=True, slots=True)
class DeleteSession:
    """Delete the session, whose time to live is over."""


Action = (
    EnsureSecret
    | CreatePod
    | TakeWarm
    | AdoptPod
    | CreateClient
    | ContactAgent
    | UpdateSpec
    | DrainAgent
    | DeletePod
    | DeleteSession
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions first; then, where there are none, the status to write; then when to look again.

    A plan with actions is followed by another decision on what they brought, so a status is
    written before everything that may happen only once it is on record.
    """

    actions: tuple[Action, ...] = ()
    status: SessionStatus | None = None
    """The status that should be stored; `None` leaves it alone."""
    requeue_after_s: float | None = None
