import asyncio
from collections.abc import Awaitable

import aiohttp

from agent.harness import AgentProcess, Answer, assignment_token, control_token, new_id, spec
from podstream_core.agentapi import AgentPhase, AgentState


async def test_idle_pod_retires_and_ends_without_failure(agent: AgentProcess) -> None:
    answer = await agent.call("POST", "/retire", token=control_token())
    assert answer.status == 200
    state = AgentState.from_body(answer.json)
    assert (state.assignment_id, state.failure) == (None, None)
    assert await agent.exit_code() == 0
    assert agent.record().failure is None


async def test_assigned_pod_does_not_retire(agent: AgentProcess) -> None:
    await agent.assigned()
    answer = await agent.call("POST", "/retire", token=control_token())
    assert (answer.status, answer.error) == (409, "AlreadyAssigned")
    assert "default/ball" in answer.json["message"]
    assert (await agent.state()).phase is AgentPhase.READY


async def unless_gone(call: Awaitable[Answer]) -> Answer | None:
    """The answer to a call, or None where the agent ended before it read the request."""
    try:
        return await call
    except aiohttp.ClientConnectionError:
        return None


async def test_retired_pod_still_refuses_for_a_moment(agent: AgentProcess) -> None:
    await agent.call("POST", "/retire", token=control_token())
    answer = await agent.assign(assignment_token(spec()))
    assert (answer.status, answer.error) == (409, "AlreadyAssigned")
    assert "choose another pod" in answer.json["message"]
    assert await agent.exit_code() == 0


async def test_retirement_and_assignments_at_once_have_one_winner(agent: AgentProcess) -> None:
    """Either the pod is retired and nobody is assigned, or one is and the pod stays."""
    token = control_token()
    tokens = [assignment_token(spec(), assignment_id=new_id()) for _ in range(10)]
    calls = [unless_gone(agent.assign(item)) for item in tokens]
    calls.insert(5, unless_gone(agent.call("POST", "/retire", token=token)))
    answers = await asyncio.gather(*calls)
    retired = answers.pop(5)
    assert retired is not None
    is_retired = retired.status == 200
    heard = [answer for answer in answers if answer is not None]
    won = [answer for answer in heard if answer.status == 200]
    assert len(won) == (0 if is_retired else 1)
    assert is_retired or len(heard) == len(tokens)
    assert all(
        answer.error == "AlreadyAssigned" for answer in [*heard, retired] if answer.status != 200
    )


async def test_retiring_again_is_harmless(agent: AgentProcess) -> None:
    token = control_token()
    for _ in range(2):
        assert (await agent.call("POST", "/retire", token=token)).status == 200
    assert await agent.exit_code() == 0
