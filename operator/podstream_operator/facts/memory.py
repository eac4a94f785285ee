"""What this process remembers of a session, and the whole picture that `decide()` gets.

Everything here may be lost: after a restart the memory is empty, and lists, the session's status
and the agent's own answers bring every decision back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from podstream_core.agentapi import AgentState
from podstream_core.api import SessionStatus, StreamSession
from podstream_operator.facts.agent import AgentReply
from podstream_operator.facts.pod import PodFacts
from podstream_operator.facts.pools import NO_OFFER, Offer
from podstream_operator.facts.rejection import Rejection
from podstream_operator.facts.secret import SecretFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMemory:
    """Volatile knowledge about the pod of a session; a replacement starts without any."""

    uid: str | None = None
    contact_at: datetime | None = None
    """When its agent answered for the first time."""
    assigned: bool = False
    """Its agent has confirmed this session."""
    last_state: AgentState | None = None
    dials: int = 0
    """Calls since the pod appeared that found it not ready; spaces the next ones."""
    silent: int = 0
    """Calls in a row without an answer."""
    drain_started_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Volatile knowledge about one session (by UID)."""

    first_seen_at: datetime
    """When the session's first event arrived; creation timestamps have whole seconds only."""
    status: SessionStatus | None = None
    """What this process wrote last: a status that was edited by hand is repaired from it."""
    pod: PodMemory = PodMemory()
    claim_refusal: str | None = None
    """Why the pod that the session says it was given is not its own, as a sentence."""
    spec_refusal: str | None = None
    """Why an agent refused the spec."""
    secret: SecretFacts | None = None
    secret_checked_at: datetime | None = None
    pod_rejection: Rejection | None = None
    client_rejection: Rejection | None = None
    secret_rejection: Rejection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that is known at one moment, beside the session itself."""

    pods: Sequence[PodFacts]
    """Pods that the session controls, also those that were deleted under our eyes."""
    memory: Memory
    offer: Offer = NO_OFFER
    """What pools have for a session without a pod."""
    peer: StreamSession | None = None
    """The session that this one's pod reaches, where it names one that exists."""
    agent: AgentReply | None = None
    """An agent's answer in this very reconcile; `None` until one was asked."""
    agent_pod_uid: str | None = None
    """Pod that was asked: while it is asked it may be lost, and replaced right after."""
