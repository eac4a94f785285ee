import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.harness import AgentProcess, assignment_token, control_token, spec
from podstream_core.agentapi import AgentPhase
from podstream_workloads.agent.confirmation import Confirmation

StartAgent = Callable[..., Awaitable[AgentProcess]]


@pytest.mark.parametrize("loads", [False, True], ids=["while-loading", "ready"])
async def test_unconfirmed_assignment_ends_itself(
    start_agent: StartAgent, tmp_path: Path, loads: bool
) -> None:
    agent = await start_agent(
        PODSTREAM_CONFIRM_TIMEOUT_SECONDS="1.0",
        ECHO_LOADS_WITH="" if loads else str(tmp_path / "never"),
    )
    assert (await agent.assign(assignment_token(spec()))).status == 200
    assert await agent.exit_code() == 1
    failure = agent.record().failure
    assert failure is not None
    assert failure.reason == "Unconfirmed"


async def test_confirmed_assignment_stays(start_agent: StartAgent) -> None:
    agent = await start_agent(PODSTREAM_CONFIRM_TIMEOUT_SECONDS="3")
    assert (await agent.assign(assignment_token(spec()))).status == 200
    await agent.state()
    with pytest.raises(TimeoutError):
        await agent.exit_code(within_s=3.3)


async def test_state_that_is_only_read_confirms_nothing(start_agent: StartAgent) -> None:
    agent = await start_agent(PODSTREAM_CONFIRM_TIMEOUT_SECONDS="1.0")
    assert (await agent.assign(assignment_token(spec()))).status == 200
    path = "/state?confirm=false"
    assert (await agent.call("GET", path, token=control_token())).status == 200
    assert await agent.exit_code() == 1
    assert agent.record().failure.reason == "Unconfirmed"  # type: ignore[union-attr]


async def test_confirm_is_true_or_false(idle_agent: AgentProcess) -> None:
    answer = await idle_agent.call("GET", "/state?confirm=maybe", token=control_token())
    assert (answer.status, answer.error) == (400, "BadRequest")


async def _is_ready(agent: AgentProcess) -> None:
    """Wait for Ready without confirming anything."""
    path = "/state?confirm=false"
    async with asyncio.timeout(20):
        while True:
            state = (await agent.call("GET", path, token=control_token())).json
            if state["phase"] == "Ready":
                return
            await asyncio.sleep(0.02)


async def test_client_keeps_an_unconfirmed_pod_as_long_as_its_slot_is_taken(
    start_agent: StartAgent,
) -> None:
    agent = await start_agent(PODSTREAM_CONFIRM_TIMEOUT_SECONDS="3")
    await agent.is_warm()
    assert (await agent.assign(assignment_token(spec(frames=100)))).status == 200
    await _is_ready(agent)
    client = await agent.stream(after=b"one\n")
    assert (await client.reply())["ok"] is True
    assert await client.line() == b"one\n"
    with pytest.raises(TimeoutError):
        await agent.exit_code(within_s=3.5)
    client.close()
    # The slot stays reserved for `reconnectSeconds`, then nobody is left who knows of the pod.
    assert await agent.exit_code() == 1
    assert agent.record().failure.reason == "Unconfirmed"  # type: ignore[union-attr]
    assert agent.record().phase is AgentPhase.FAILED


class Slots:
    """A gate with one slot, and how often it was looked at."""

    def __init__(self, *, taken: bool) -> None:
        self.taken = taken
        self.looks = 0
        self.looked = asyncio.Event()
        self.ended = asyncio.Event()

    def is_taken(self) -> bool:
        self.looks += 1
        self.looked.set()
        return self.taken

    def clock(self, timeout_s: float) -> Confirmation:
        return Confirmation(timeout_s=timeout_s, is_taken=self.is_taken, on_missing=self.ended.set)


async def test_clock_looks_again_while_a_slot_is_taken() -> None:
    slots = Slots(taken=True)
    slots.clock(0.01).start()
    async with asyncio.timeout(2):
        for _ in range(3):
            await slots.looked.wait()
            slots.looked.clear()
        assert not slots.ended.is_set()
        slots.taken = False
        await slots.ended.wait()


async def test_clock_that_was_confirmed_between_two_looks_stands_still() -> None:
    slots = Slots(taken=True)
    clock = slots.clock(0.01)
    clock.start()
    async with asyncio.timeout(2):
        await slots.looked.wait()
    slots.taken = False
    clock.confirm()
    looks = slots.looks
    await asyncio.sleep(0.05)
    assert (slots.looks, slots.ended.is_set()) == (looks, False)
