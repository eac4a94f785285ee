import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.harness import (
    AgentProcess,
    assignment_token,
    control_token,
    eventually,
    spec,
)
from podstream_core.agentapi import AgentPhase
from podstream_core.termination import RECORD_BYTES

StartAgent = Callable[..., Awaitable[AgentProcess]]


async def drain(agent: AgentProcess, **body: Any) -> int:
    return (await agent.call("POST", "/drain", token=control_token(), json_body=body)).status


async def test_finite_session_completes_with_its_results(agent: AgentProcess) -> None:
    await agent.assigned(frames=2)
    await agent.stream(after=b"one\ntwo\n")
    assert await agent.exit_code() == 0
    record = agent.record()
    assert record.phase is AgentPhase.COMPLETED
    assert record.failure is None
    assert record.results is not None
    assert record.results.final
    assert record.results.circle is not None
    assert record.results.circle.frames_scored == 2
    times = record.timeline
    assert times.assigned_at < times.ready_at < times.connected_at < times.completed_at  # type: ignore[operator]
    assert agent.record_path.stat().st_size == RECORD_BYTES


async def test_killed_child_fails_the_session_with_its_signal(agent: AgentProcess) -> None:
    await agent.assigned()
    client = await agent.stream(after=b"one\n")
    assert (await client.reply())["ok"] is True
    await agent.reaches(lambda state: state.results is not None)
    agent.child().send_signal(signal.SIGKILL)
    assert await agent.exit_code() == 1
    record = agent.record()
    assert record.phase is AgentPhase.FAILED
    assert record.failure is not None
    assert record.failure.reason == "WorkloadCrashed"
    assert "SIGKILL" in record.failure.message
    # What was measured before the crash is kept.
    assert record.results is not None
    assert record.results.circle is not None
    assert record.results.circle.frames_scored == 1
    assert await client.ended() == b"one\n"


async def test_crash_while_an_offer_is_answered_is_told_to_the_client(
    agent: AgentProcess,
) -> None:
    await agent.assigned()
    answer = await agent.whep("crash")
    assert (answer.status, answer.error) == (502, "WorkloadGone")
    assert await agent.exit_code() == 1
    assert "SIGKILL" in agent.record().failure.message  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fps", "reason", "named"),
    [
        pytest.param(2, "SpecRejected", "fps 2 is not possible", id="rejected"),
        pytest.param(3, "WorkloadCrashed", "exit status 3", id="died"),
    ],
)
async def test_workload_that_does_not_take_the_session_fails_it(
    agent: AgentProcess, fps: int, reason: str, named: str
) -> None:
    assert (await agent.assign(assignment_token(spec(fps=fps)))).status == 200
    assert await agent.exit_code() == 1
    failure = agent.record().failure
    assert failure is not None
    assert failure.reason == reason
    assert named in failure.message


async def test_idle_pod_whose_workload_cannot_live_gives_up(agent: AgentProcess) -> None:
    agent.child().kill()
    assert await agent.exit_code() == 1
    failure = agent.record().failure
    assert failure is not None
    assert failure.reason == "WorkloadCrashed"


async def test_sigterm_drains_and_keeps_the_results(agent: AgentProcess) -> None:
    await agent.assigned(frames=100)
    client = await agent.stream(after=b"one\n")
    assert (await client.reply())["ok"] is True
    assert await client.line() == b"one\n"
    began = time.monotonic()
    agent.terminate()
    assert await agent.exit_code(within_s=8) == 1
    assert time.monotonic() - began < 8
    record = agent.record()
    assert record.failure is not None
    assert record.failure.reason == "Drained"
    assert record.results is not None
    assert record.results.final
    assert record.results.circle is not None
    assert record.results.circle.frames_scored == 1
    assert await client.ended() == b""


async def test_workload_that_hangs_does_not_outlast_the_grace(agent: AgentProcess) -> None:
    await agent.assigned(fps=4)
    client = await agent.stream(after=b"one\n")
    assert (await client.reply())["ok"] is True
    await agent.reaches(lambda state: state.results is not None)
    agent.terminate()
    assert await agent.exit_code(within_s=8) == 1
    record = agent.record()
    assert record.failure is not None
    assert record.failure.reason == "Drained"
    # The final figures cannot be asked for; the newest live ones stand in for them.
    assert record.results is not None
    assert record.results.circle is not None
    assert record.results.circle.frames_scored == 1


async def test_sigterm_while_the_workload_loads_does_not_wait_for_it(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    agent = await start_agent(ECHO_LOADS_WITH=str(tmp_path / "never"))
    answer = await agent.assign(assignment_token(spec()))
    assert answer.json["phase"] == "Starting"
    agent.terminate()
    assert await agent.exit_code(within_s=5) == 1
    failure = agent.record().failure
    assert failure is not None
    assert failure.reason == "Drained"


async def test_sigterm_of_an_idle_pod_is_no_failure(agent: AgentProcess) -> None:
    agent.terminate()
    assert await agent.exit_code() == 0


async def test_sigterm_ends_the_linger(agent: AgentProcess) -> None:
    body = {"circle": {"frames": 1}, "lingerSeconds": 3600}
    assert (await agent.assign(assignment_token(body))).status == 200
    await agent.reaches(lambda state: state.phase is AgentPhase.READY)
    await agent.stream(after=b"one\n")
    await agent.reaches(lambda state: state.phase is AgentPhase.COMPLETED)
    assert agent.popen.poll() is None
    agent.terminate()
    assert await agent.exit_code(within_s=3) == 0


async def test_pod_lingers_for_its_seconds_and_no_longer(agent: AgentProcess) -> None:
    body = {"circle": {"frames": 1}, "lingerSeconds": 1}
    assert (await agent.assign(assignment_token(body))).status == 200
    await agent.reaches(lambda state: state.phase is AgentPhase.READY)
    await agent.stream(after=b"one\n")
    await agent.reaches(lambda state: state.phase is AgentPhase.COMPLETED)
    began = time.monotonic()
    assert await agent.exit_code() == 0
    assert 0.7 < time.monotonic() - began < 4


async def test_drain_call_ends_the_session_with_its_reason(agent: AgentProcess) -> None:
    await agent.assigned()
    client = await agent.stream(after=b"one\n")
    assert (await client.reply())["ok"] is True
    assert await drain(agent, reason="IdleTimeout", message="nobody came") == 202
    assert await agent.exit_code() == 1
    failure = agent.record().failure
    assert failure is not None
    assert (failure.reason, failure.message) == ("IdleTimeout", "nobody came")
    assert await client.ended() == b"one\n"


async def test_killed_agent_leaves_its_last_state_and_no_process(agent: AgentProcess) -> None:
    await agent.assigned()
    client = await agent.stream(after=b"one\n")
    assert (await client.reply())["ok"] is True
    await agent.reaches(lambda state: state.phase is AgentPhase.CONNECTED)
    await agent.reaches(lambda _state: agent.record().results is not None)
    child = agent.child()
    agent.popen.kill()
    assert await eventually(lambda: not child.is_running() or child.status() == "zombie")
    record = agent.record()
    assert record.phase is AgentPhase.CONNECTED
    assert record.results is not None
    assert not record.results.final


async def test_process_one_reaps_orphans_and_its_own_child(tmp_path: Any) -> None:
    """In a PID namespace of its own the agent is process 1, as in its container."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a PID namespace")
    agent = AgentProcess(tmp_path, wrapper=["unshare", "--fork", "--pid", "--mount-proc"])
    try:
        await agent.start()
        await agent.assigned()
        (unshare,) = [psutil.Process(agent.popen.pid)]
        (process_one,) = unshare.children()
        (workload,) = process_one.children()
        # A process whose parent ends is handed to process 1; its end must not leave a zombie.
        enter = ["nsenter", "--target", str(process_one.pid), "--pid", "--mount"]
        orphan = await asyncio.create_subprocess_exec(*enter, "sh", "-c", "sleep 0.2 & :")
        await orphan.wait()
        assert await eventually(lambda: process_one.children() == [workload])
        workload.kill()
        assert await agent.exit_code() == 1
        assert "SIGKILL" in agent.record().failure.message  # type: ignore[union-attr]
    finally:
        await agent.close()
