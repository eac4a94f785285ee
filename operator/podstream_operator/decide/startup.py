"""Why is the session's pod not up yet, and is that worth telling?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from podstream_core import ports
from podstream_operator.facts import (
    AgentRefusal,
    AgentReply,
    AgentUnreachable,
    Memory,
    PodFacts,
)

PATIENCE: Final = timedelta(seconds=4)
"""A pod may be unschedulable or without its image for a moment and start all the same."""
DIAL_PATIENCE: Final = timedelta(seconds=6)
"""An agent listens within a second of its container's start."""

_WAITING_TROUBLE: Final = {
    # The kubelet alternates between the two; one name keeps the condition still.
    "ErrImagePull": "ImagePullBackOff",
    "ImagePullBackOff": "ImagePullBackOff",
    "ErrImageNeverPull": "ErrImageNeverPull",
    "InvalidImageName": "InvalidImageName",
    "RegistryUnavailable": "ImagePullBackOff",
    "CreateContainerConfigError": "CreateContainerConfigError",
    "CreateContainerError": "CreateContainerError",
    "RunContainerError": "RunContainerError",
}
PROBLEM_REASONS: Final = frozenset(_WAITING_TROUBLE.values()) | {
    "AgentRefused",
    "AgentUnreachable",
    "PeerHasNoToken",
    "PeerMismatch",
    "PeerNotFound",
    "PodRejected",
    "PoolExhausted",
    "PoolNotFound",
    "SecretConflict",
    "SecretRejected",
    "Unschedulable",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a session from becoming Ready, in the words of a condition."""

    reason: str
    message: str


def startup_problem(
    pod: PodFacts | None, *, agent: AgentReply | None, memory: Memory, now: datetime
) -> Problem | None:
    """The cause that a user should see, once it has lasted long enough to be one."""
    if memory.secret_rejection is not None:
        return Problem(memory.secret_rejection.reason, memory.secret_rejection.message)
    if pod is None:
        rejection = memory.pod_rejection
        return Problem(rejection.reason, rejection.message) if rejection else None
    if isinstance(agent, AgentRefusal):
        return Problem("AgentRefused", f"{agent.error}: {agent.message}")
    age = now - pod.created_at if pod.created_at else timedelta(0)
    if age < PATIENCE:
        return None
    if pod.unschedulable is not None:
        return Problem("Unschedulable", pod.unschedulable)
    if pod.waiting is not None and pod.waiting.reason in _WAITING_TROUBLE:
        message = pod.waiting.message or pod.waiting.reason
        return Problem(_WAITING_TROUBLE[pod.waiting.reason], message)
    if (
        isinstance(agent, AgentUnreachable)
        and pod.started_at is not None
        and now - pod.started_at >= DIAL_PATIENCE
    ):
        where = f"{pod.ip}:{ports.AGENT_CONTROL_PORT}"
        return Problem("AgentUnreachable", f"no answer from {where}: {agent.cause}")
    return None


def describe_pending(pod: PodFacts | None) -> str:
    """What the pod is doing, for the message of a startup timeout."""
    if pod is None:
        return "the pod was not created"
    if pod.waiting is not None:
        detail = f": {pod.waiting.message}" if pod.waiting.message else ""
        return f"pod {pod.name} waits, {pod.waiting.reason}{detail}"
    if pod.ip is None:
        return f"pod {pod.name} has no address, phase {pod.phase}"
    return f"pod {pod.name} runs, but its session is not ready"
