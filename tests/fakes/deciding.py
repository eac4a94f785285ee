"""`decide()` with few words: a plan from what is known, and sessions at a point of their life."""

from datetime import datetime
from typing import Any

from fakes.values import (
    SITE,
    START,
    at,
    knows_pod,
    make_memory,
    make_session,
    make_state,
    running_pod,
)
from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState, Failure
from podstream_core.api import (
    CircleResults,
    Results,
    SessionStatus,
    StreamSession,
)
from podstream_core.termination import encode_termination
from podstream_operator.decide import (
    Plan,
    decide,
)
from podstream_operator.facts import (
    AgentReply,
    AgentUnreachable,
    Memory,
    Observed,
    PodFacts,
    Terminated,
)

READY = make_state(AgentPhase.READY)
CONNECTED = make_state(AgentPhase.CONNECTED)
DONE = make_state(AgentPhase.COMPLETED, results=Results(final=True))
FIGURES = Results(observed_at=at(10), circle=CircleResults(frames_scored=1))
SILENCE = AgentUnreachable("timed out")


def run(
    session: StreamSession,
    *,
    pods: tuple[PodFacts, ...] = (),
    agent: AgentReply | None = None,
    memory: Memory | None = None,
    peer: StreamSession | None = None,
    now: datetime = START,
) -> Plan:
    asked = [pod.uid for pod in pods if pod.role == names.ROLE_SESSION and not pod.gone]
    observed = Observed(
        pods=pods,
        memory=memory or make_memory(),
        peer=peer,
        agent=agent,
        agent_pod_uid=asked[-1] if agent and asked else None,
    )
    return decide(session, observed=observed, site=SITE, now=now)


def status_of(plan: Plan) -> SessionStatus:
    assert plan.actions == ()
    assert plan.status is not None
    return plan.status


def ready_session(*, phase: AgentPhase = AgentPhase.READY, **spec: Any) -> StreamSession:
    """A session whose status says that it is Ready (or Connected)."""
    plan = run(
        make_session(**spec),
        pods=(running_pod(),),
        agent=make_state(phase),
        memory=knows_pod(),
        now=at(2),
    )
    return make_session(status=status_of(plan), **spec)


def ended_session(reason: str | None, **spec: Any) -> StreamSession:
    """A session that has ended 100 s after its start: completed, or failed with a reason."""
    state = make_state(AgentPhase.COMPLETED)
    if reason is not None:
        state = make_state(AgentPhase.FAILED, failure=Failure(reason=reason, message="m"))
    plan = run(
        make_session(**spec),
        pods=(running_pod(),),
        agent=state,
        memory=knows_pod(),
        now=at(100),
    )
    return make_session(status=status_of(plan), **spec)


def ended(exit_code: int, *, state: AgentState | None = None, reason: str = "Error") -> Terminated:
    message = encode_termination(state).decode() if state else ""
    return Terminated(reason, exit_code, message)
