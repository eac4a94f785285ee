"""What a warm pod is good for: an assignment that finds everything loaded."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.harness import AgentProcess, assignment_token, spec
from podstream_core.agentapi import AgentPhase, AgentState

StartAgent = Callable[..., Awaitable[AgentProcess]]


async def test_pod_is_ready_once_its_workloads_are_loaded(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    agent = await start_agent(ECHO_LOADS_WITH=str(go))
    assert (await agent.call("GET", "/readyz")).status == 503
    assert (await agent.call("GET", "/healthz")).status == 200
    go.touch()
    await agent.is_warm()


async def test_answer_of_a_warm_assignment_says_ready(agent: AgentProcess) -> None:
    await agent.is_warm()
    answer = await agent.assign(assignment_token(spec()))
    assert AgentState.from_body(answer.json).phase is AgentPhase.READY


async def test_answer_does_not_wait_for_a_workload_that_takes_long(agent: AgentProcess) -> None:
    await agent.is_warm()
    began = time.monotonic()
    answer = await agent.assign(assignment_token(spec(fps=1)))
    assert 0.4 < time.monotonic() - began < 2
    assert AgentState.from_body(answer.json).phase is AgentPhase.STARTING


async def test_answer_tells_of_a_spec_that_the_workload_rejects(agent: AgentProcess) -> None:
    await agent.is_warm()
    answer = await agent.assign(assignment_token(spec(fps=2)))
    assert AgentState.from_body(answer.json).phase in (AgentPhase.DRAINING, AgentPhase.FAILED)


async def test_only_the_named_workloads_are_loaded_before(start_agent: StartAgent) -> None:
    agent = await start_agent(PODSTREAM_WORKLOADS=",")
    assert (await agent.call("GET", "/readyz")).status == 200
    with pytest.raises(ValueError, match="expected 1"):
        agent.child()
    await agent.assigned()
    assert agent.child().is_running()


@pytest.mark.media
async def test_real_warm_pod_is_ready_within_milliseconds(start_agent: StartAgent) -> None:
    agent = await start_agent(ECHO_REAL="1", PODSTREAM_WORKLOADS="circle")
    await agent.is_warm()
    began = time.perf_counter()
    answer = await agent.assign(assignment_token(spec()))
    answered_ms = (time.perf_counter() - began) * 1000
    state = AgentState.from_body(answer.json)
    times = state.timeline
    assert times.assigned_at is not None
    assert times.ready_at is not None
    ready_ms = (times.ready_at - times.assigned_at).total_seconds() * 1000
    print(f"assigned -> Ready {ready_ms:.1f} ms, answered after {answered_ms:.1f} ms")
    assert state.phase is AgentPhase.READY
    # An import of the media libraries alone takes ten times this.
    assert ready_ms < 100
