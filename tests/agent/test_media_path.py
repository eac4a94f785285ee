from typing import Any

import pytest

from agent.harness import AgentProcess, Answer, control_token


async def move(agent: AgentProcess, **changes: Any) -> Answer:
    body = {"port": 20003, "address": "192.0.2.9", "addressPort": 40000, **changes}
    return await agent.call("POST", "/media-path", token=control_token(), json_body=body)


async def test_order_reaches_the_connection_that_listens_on_the_port(agent: AgentProcess) -> None:
    await agent.assigned()
    assert (await move(agent)).status == 200
    assert "echo moves 20003 to ('192.0.2.9', 40000)\n" in agent.log
    assert (await move(agent, address="2001:DB8::1")).status == 200
    assert "echo moves 20003 to ('2001:db8::1', 40000)\n" in agent.log


async def test_order_for_a_port_without_connection_is_404(agent: AgentProcess) -> None:
    assert (await move(agent)).status == 404
    await agent.assigned()
    answer = await move(agent, port=20004)
    assert (answer.status, answer.error) == (404, "NoSuchConnection")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"address": "router.example"}, id="name"),
        pytest.param({"address": ""}, id="empty"),
        pytest.param({"port": 0}, id="port-0"),
        pytest.param({"addressPort": 70_000}, id="port-too-large"),
        pytest.param({"addressPort": None}, id="no-port"),
    ],
)
async def test_order_that_cannot_be_read_is_400(
    idle_agent: AgentProcess, changes: dict[str, Any]
) -> None:
    answer = await move(idle_agent, **changes)
    assert (answer.status, answer.error) == (400, "BadRequest")
