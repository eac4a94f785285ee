"""Where a session stands and how it ends: decisions over plain values.

Nothing here knows a clock, a process or a socket. The agent asks after every event.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from podstream_core.agentapi import ENDED_BY_USER, AgentPhase, Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadView:
    """One workload of the session as the decision sees it."""

    name: str
    is_finite: bool | None = None
    """`None` until the workload has been configured."""
    is_ready: bool = False
    is_done: bool = False
    failure: Failure | None = None

    @property
    def has_failed(self) -> bool:
        """A workload that dies after its work is done has not failed."""
        return self.failure is not None and not self.is_done


@dataclass(frozen=True, slots=True)
class End:
    """How the session ends; `failure` is set where it fails."""

    failure: Failure | None = None

    @property
    def phase(self) -> AgentPhase:
        """Phase once results are final."""
        return AgentPhase.COMPLETED if self.failure is None else AgentPhase.FAILED


def decide(
    workloads: Sequence[WorkloadView], *, slots_taken: bool, was_connected: bool
) -> AgentPhase | End:
    """Phase of a session that runs, or its end.

    A session ends when every finite workload that still can finish has done so or, with none
    finite, when its last slot has expired. A failed workload does not stop the others; the session
    then fails with the first failure.

    Args:
        workloads: all workloads of the session, in the order of its spec.
        slots_taken: whether a client is connected or may still return.
        was_connected: whether any client's connection was ever established.
    """
    alive = [workload for workload in workloads if not workload.has_failed]
    first_failure = next((item.failure for item in workloads if item.has_failed), None)
    if not alive:
        return End(first_failure)
    if any(workload.is_finite is None for workload in alive):
        return AgentPhase.STARTING
    finite = [workload for workload in alive if workload.is_finite]
    if finite:
        is_over = all(workload.is_done for workload in finite)
    else:
        is_over = was_connected and not slots_taken
    if is_over:
        return End(first_failure)
    if slots_taken:
        return AgentPhase.CONNECTED
    is_ready = all(workload.is_ready for workload in alive)
    return AgentPhase.READY if is_ready else AgentPhase.STARTING


def decide_drain(workloads: Sequence[WorkloadView], *, failure: Failure) -> End:
    """End of a session that is told to stop: Completed only if its finite work is done.

    Without finite work no end is the right one but the client's leaving, or its user's word.
    """
    finite = [workload for workload in workloads if workload.is_finite]
    first_failure = next((item.failure for item in workloads if item.has_failed), None)
    if finite and all(workload.is_done for workload in finite):
        return End(first_failure)
    is_endless = all(workload.is_finite is False for workload in workloads)
    if is_endless and failure.reason == ENDED_BY_USER:
        return End(first_failure)
    return End(first_failure or failure)
