"""The whole status at each step of a session's life."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import (
    AccessStatus,
    ConditionType,
    ConnectionStatus,
    Origin,
    Phase,
    PodStatus,
    SessionStatus,
    StreamSession,
    Timeline,
)
from podstream_operator.facts import Memory, PodFacts, Site
from podstream_operator.resources import has_secret, secret_name, session_pod_name
from podstream_operator.status.conditions import Verdict, build_conditions, is_true
from podstream_operator.status.endpoints import endpoints_of
from podstream_operator.status.results import last_results, live_results
from podstream_operator.status.timeline import applied_at, ended_at, merge_timeline

_IN_PROGRESS = Verdict(False, "InProgress")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a session stands that has not ended."""

    pod: PodFacts | None
    restarts: int
    ready: bool
    connected: bool
    reason: str
    """Why it is not ready, or why no client is connected."""
    message: str
    state: AgentState | None
    """The agent's latest answer."""
    followed: bool = True
    """Whether the pod does what the spec says now, as far as is known."""


def live_status(
    session: StreamSession,
    *,
    previous: SessionStatus,
    progress: Progress,
    memory: Memory,
    site: Site,
    now: datetime,
) -> SessionStatus:
    """Status of a session that has not ended."""
    ready, connected = progress.ready, progress.connected
    if ready:
        pod_ready = Verdict(True, "AgentUp")
        ready_verdict = Verdict(True, "Assigned", "a client can connect")
        connected_verdict = (
            Verdict(True, "ClientConnected")
            if connected
            else Verdict(False, progress.reason, progress.message)
        )
    else:
        pod_ready = ready_verdict = Verdict(False, progress.reason, progress.message)
        connected_verdict = Verdict(False, "NotReady")
    generation = session.metadata.generation if progress.followed else previous.observed_generation
    changed = previous.observed_generation not in (0, generation)
    transition = (
        changed
        or is_true(previous, ConditionType.READY) != ready
        or is_true(previous, ConditionType.CONNECTED) != connected
    )
    results = live_results(
        previous.results,
        # Work without a client has results of its own, and a change of the spec may act on those
        # of a session that waits for its client.
        state=progress.state if connected or changed or not session.spec.needs_client else None,
        interval_s=session.spec.results_interval_seconds,
        transition=transition,
        connected_since=_since(previous, ConditionType.CONNECTED),
        now=now,
    )
    timeline = merge_timeline(
        previous.timeline,
        applied=applied_at(session, status=previous, memory=memory),
        contact=memory.pod.contact_at,
        agent=progress.state.timeline if progress.state else None,
    )
    if not transition and results is previous.results:
        # The first frame follows the connection within moments: it waits for the next write.
        timeline = msgspec.structs.replace(
            timeline, first_frame_at=previous.timeline.first_frame_at
        )
    return SessionStatus(
        observed_generation=generation,
        phase=_live_phase(progress),
        workloads=_workloads(session),
        conditions=build_conditions(
            previous.conditions,
            ready=ready_verdict,
            pod_ready=pod_ready,
            connected=connected_verdict,
            completed=_IN_PROGRESS,
            generation=generation,
            now=now,
        ),
        endpoints=endpoints_of(session, site=site) if ready else [],
        pod=_pod_status(session, progress=progress, previous=previous.pod),
        access=_access(session),
        connection=_connection(previous, state=progress.state),
        timeline=timeline,
        results=results,
    )


def _since(status: SessionStatus, kind: ConditionType) -> datetime | None:
    condition = status.condition(kind)
    return condition.last_transition_time if condition else None


def replacing_status(
    session: StreamSession,
    *,
    previous: SessionStatus,
    reason: str,
    message: str,
    memory: Memory,
    now: datetime,
) -> SessionStatus:
    """Status of a session whose pod was lost and is about to be replaced.

    It is written before the replacement is created: whatever happens in between, the number of
    replacements that were used is on record.
    """
    restarts = (previous.pod.restarts if previous.pod else 0) + 1
    verdict = Verdict(False, reason, message)
    return SessionStatus(
        observed_generation=session.metadata.generation,
        phase=Phase.STARTING,
        workloads=_workloads(session),
        conditions=build_conditions(
            previous.conditions,
            ready=verdict,
            pod_ready=verdict,
            connected=verdict,
            completed=_IN_PROGRESS,
            generation=session.metadata.generation,
            now=now,
        ),
        pod=PodStatus(
            name=session_pod_name(session, restarts=restarts),
            origin=Origin.COLD,
            restarts=restarts,
        ),
        access=_access(session),
        connection=previous.connection,
        timeline=Timeline(applied_at=applied_at(session, status=previous, memory=memory)),
        results=last_results(previous.results, state=None, now=now),
    )


def completed_status(
    session: StreamSession,
    *,
    previous: SessionStatus,
    pod: PodFacts | None,
    state: AgentState,
    memory: Memory,
    site: Site,
    now: datetime,
) -> SessionStatus:
    """Status of a session whose every workload is done."""
    released = Verdict(False, "Completed")
    return _final_status(
        session,
        previous=previous,
        phase=Phase.COMPLETED,
        verdicts=(released, Verdict(True, "Completed", "every workload is done")),
        reason=None,
        message=None,
        pod=pod,
        state=state,
        memory=memory,
        site=site,
        now=now,
    )


def failed_status(
    session: StreamSession,
    *,
    previous: SessionStatus,
    pod: PodFacts | None,
    state: AgentState | None,
    reason: str,
    message: str,
    memory: Memory,
    site: Site,
    now: datetime,
) -> SessionStatus:
    """Status of a session that ended before its work was done."""
    failed = Verdict(False, reason, message)
    return _final_status(
        session,
        previous=previous,
        phase=Phase.FAILED,
        verdicts=(failed, failed),
        reason=reason,
        message=message,
        pod=pod,
        state=state,
        memory=memory,
        site=site,
        now=now,
    )


def _final_status(
    session: StreamSession,
    *,
    previous: SessionStatus,
    phase: Phase,
    verdicts: tuple[Verdict, Verdict],
    reason: str | None,
    message: str | None,
    pod: PodFacts | None,
    state: AgentState | None,
    memory: Memory,
    site: Site,
    now: datetime,
) -> SessionStatus:
    gone, completed = verdicts
    restarts = previous.pod.restarts if previous.pod else 0
    was_ready = previous.endpoints or phase is Phase.COMPLETED
    return SessionStatus(
        observed_generation=session.metadata.generation,
        phase=phase,
        reason=reason,
        message=message,
        workloads=_workloads(session),
        conditions=build_conditions(
            previous.conditions,
            ready=gone,
            pod_ready=gone,
            connected=gone,
            completed=completed,
            generation=session.metadata.generation,
            now=now,
        ),
        endpoints=endpoints_of(session, site=site) if was_ready else [],
        pod=_final_pod(session, pod=pod, restarts=restarts, previous=previous.pod),
        access=_access(session),
        connection=_connection(previous, state=state),
        timeline=merge_timeline(
            previous.timeline,
            applied=applied_at(session, status=previous, memory=memory),
            contact=memory.pod.contact_at,
            agent=state.timeline if state else None,
            completed=ended_at(
                state.timeline.completed_at if state else None, previous=previous, now=now
            ),
        ),
        results=last_results(previous.results, state=state, now=now),
    )


def _live_phase(progress: Progress) -> Phase:
    if progress.connected:
        return Phase.CONNECTED
    if progress.ready:
        return Phase.READY
    started = progress.pod is not None and progress.pod.started_at is not None
    return Phase.STARTING if started or progress.state else Phase.PENDING


def _pod_status(
    session: StreamSession, *, progress: Progress, previous: PodStatus | None
) -> PodStatus:
    pod = progress.pod
    if pod is None:
        name = session_pod_name(session, restarts=progress.restarts)
        return previous or PodStatus(name=name, restarts=progress.restarts)
    return PodStatus(
        name=pod.name,
        uid=pod.uid,
        node=pod.node,
        origin=_origin(session, pod=pod, restarts=progress.restarts),
        restarts=progress.restarts,
    )


def _final_pod(
    session: StreamSession, *, pod: PodFacts | None, restarts: int, previous: PodStatus | None
) -> PodStatus | None:
    if pod is None:
        return previous
    return PodStatus(
        name=pod.name,
        uid=pod.uid,
        node=pod.node,
        origin=_origin(session, pod=pod, restarts=restarts),
        restarts=restarts,
    )


def _origin(session: StreamSession, *, pod: PodFacts, restarts: int) -> Origin:
    """A pod with a name of the session's was started for it; the router knows of its own."""
    if pod.name == session_pod_name(session, restarts=restarts):
        return Origin.COLD
    told = session.metadata.annotations.get(names.ANNOTATION_ORIGIN)
    return Origin.COLD if restarts == 0 and told == Origin.COLD.value else Origin.WARM


def _connection(previous: SessionStatus, *, state: AgentState | None) -> ConnectionStatus | None:
    """The first connection that was seen; it stays when the client has left. Viewers are none."""
    found = [] if state is None else [item for item in state.connections if not item.observer]
    if previous.connection is not None or not found:
        return previous.connection
    first = min(found, key=lambda item: item.since)
    return ConnectionStatus(
        protocol=first.protocol.value, client_address=first.client_address or None
    )


def _access(session: StreamSession) -> AccessStatus | None:
    return AccessStatus(secret_name=secret_name(session)) if has_secret(session) else None


def _workloads(session: StreamSession) -> str:
    return ",".join(session.spec.workloads)


def is_ready_phase(phase: AgentPhase) -> bool:
    """Whether a client can connect, or is connected."""
    return phase in (AgentPhase.READY, AgentPhase.CONNECTED)
