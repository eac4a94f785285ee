"""Has the session's pod ended, and what does it leave behind?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import SessionStatus
from podstream_core.termination import decode_termination
from podstream_operator.facts import PodFacts

DELETION_MARGIN: Final = timedelta(seconds=3)
"""A pod whose deletion should be over by now sits on a node that no longer answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEnd:
    """How a session's pod ended."""

    lost: bool
    """True where the pod went away under its session; false where the agent ended the session."""
    reason: str
    message: str
    state: AgentState | None
    """The agent's last words."""


def pod_end(
    pod: PodFacts | None, *, previous: SessionStatus, last: AgentState | None, now: datetime
) -> PodEnd | None:
    """The end of the session's pod, where it has come.

    Args:
        pod: the pod as it was last seen; `None` where no such pod exists.
        previous: the session's status.
        last: the agent's last answer to this process.
        now: for deletions that never end.
    """
    if pod is None:
        if previous.pod is None or previous.pod.uid is None:
            return None
        text = f"pod {previous.pod.name} was deleted"
        return PodEnd(lost=True, reason="PodLost", message=text, state=last)
    overdue = pod.deletion_at is not None and now > pod.deletion_at + DELETION_MARGIN
    if not (pod.is_finished or pod.gone or overdue):
        return None
    state = _last_words(pod) or last
    if state is not None and state.phase is AgentPhase.COMPLETED:
        return PodEnd(lost=False, reason="Completed", message="", state=state)
    reason, message = _cause(pod, overdue=overdue)
    if state is not None and state.phase is AgentPhase.FAILED and state.failure is not None:
        # An agent that was told to stop ends its session, but the session did not want to end.
        told_to_stop = pod.gone or pod.deletion_at is not None or pod.reason != ""
        return PodEnd(
            lost=told_to_stop,
            reason=reason if told_to_stop else state.failure.reason,
            message=message if told_to_stop else state.failure.message,
            state=state,
        )
    return PodEnd(lost=True, reason=reason, message=message, state=state)


def _last_words(pod: PodFacts) -> AgentState | None:
    if pod.terminated is None:
        return None
    state = decode_termination(pod.terminated.message)
    # The file is the container's: what names another pod is not to be believed.
    return state if state is not None and state.pod_uid == pod.uid else None


def _cause(pod: PodFacts, *, overdue: bool) -> tuple[str, str]:
    """Reason and message of a loss."""
    ended = pod.terminated
    if ended is not None and ended.reason == "OOMKilled":
        return "OOMKilled", f"pod {pod.name} ran out of memory; raise spec.pod.resources.limits"
    if pod.reason:
        detail = f": {pod.message}" if pod.message else ""
        return "PodLost", f"pod {pod.name} failed: {pod.reason}{detail}"
    if overdue:
        return "PodLost", f"pod {pod.name} is stuck in deletion: node {pod.node} does not answer"
    if pod.gone or pod.deletion_at is not None:
        return "PodLost", f"pod {pod.name} was deleted"
    if ended is not None:
        detail = f" ({ended.reason})" if ended.reason else ""
        return "PodLost", f"pod {pod.name} ended with exit code {ended.exit_code}{detail}"
    return "PodLost", f"pod {pod.name} ended in phase {pod.phase}"
