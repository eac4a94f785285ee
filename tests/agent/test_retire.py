import asyncio

from agent.harness import AgentProcess, assignment_token, control_token, new_id, spec
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


async def test_retirement_and_assignments_at_once_have_one_winner(agent: AgentProcess) -> None:
    """Either the pod is retired and nobody is assigned, or one is and the pod stays."""
    token = control_token()
    tokens = [assignment_token(spec(), assignment_id=new_id()) for _ in range(10)]
    calls = [agent.assign(item) for item in tokens]
    calls.insert(5, agent.call("POST", "/retire", token=token))
    answers = await asyncio.gather(*calls)
    retired = answers.pop(5)
    won = [answer for answer in answers if answer.status == 200]
    assert len(won) == (0 if retired.status == 200 else 1)
    assert all(
        answer.error == "AlreadyAssigned" for answer in [*answers, retired] if answer.status != 200
    )


async def test_retiring_again_is_harmless(agent: AgentProcess) -> None:
    token = control_token()
    calls = [agent.call("POST", "/retire", token=token) for _ in range(2)]
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200]
    assert await agent.exit_code() == 0
