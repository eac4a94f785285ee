"""Two operators that both believe to lead, as with a Lease each: the worst that can be set up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from fakes.kube_api import Body
from fakes.world import NAMESPACE, World, eventually, running_world
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_operator.app import Operator

POOLED: Body = {"poolRef": {"name": "media"}, "access": {"mode": "Public"}}


@asynccontextmanager
async def two_operators() -> AsyncIterator[tuple[World, tuple[Operator, Operator]]]:
    async with (
        running_world() as world,
        world.running_operator(lease_name="one", lease_identity="one") as first,
        world.running_operator(lease_name="two", lease_identity="two") as second,
    ):
        yield world, (first, second)
        world.stop_operators()


async def tell(operators: tuple[Operator, Operator], session: str) -> None:
    """A router tells every address of the operator's Service."""
    async with aiohttp.ClientSession() as http:
        for operator in operators:
            body = {"namespace": NAMESPACE, "name": session}
            async with http.post(
                f"http://127.0.0.1:{operator.http_port}/hint", json=body
            ) as response:
                assert response.status in (202, 404)


def _pods_on_record(world: World, sessions: list[str]) -> set[str]:
    return {world.status(name)["pod"]["uid"] for name in sessions}


def _pods_of_sessions(world: World) -> set[str]:
    return {
        pod["metadata"]["uid"]
        for pod in world.pods()
        if names.LABEL_SESSION in pod["metadata"]["labels"]
        and "deletionTimestamp" not in pod["metadata"]
    }


def status_writes(world: World) -> int:
    return len(world.api.writes_of(f"{names.SESSION_PLURAL}/status"))


async def test_session_has_one_pod_one_assignment_and_a_result() -> None:
    async with two_operators() as (world, operators):
        for number in range(5):
            await world.apply(f"ball-{number}")
        for number in range(5):
            await world.reach("Ready", f"ball-{number}")
        assert len(world.pods()) == 5
        for agent in world.agents.values():
            agent.move(AgentPhase.COMPLETED)
        for number in range(5):
            await tell(operators, f"ball-{number}")
            await world.reach("Completed", f"ball-{number}")
        assert len(world.pods()) == 5
        created = Counter(write.method for write in world.api.writes_of("pods"))
        assert created["POST"] == 5
        assert all(len(agent.assignments) == 1 for agent in world.agents.values())


async def test_they_do_not_write_against_each_other_for_long() -> None:
    async with two_operators() as (world, operators):
        await world.apply()
        await world.reach("Ready")
        for _ in range(10):
            await tell(operators, "ball")
            await asyncio.sleep(0.05)
        before = status_writes(world)
        assert before < 20
        for _ in range(20):
            await tell(operators, "ball")
            await asyncio.sleep(0.05)
        assert status_writes(world) == before


async def test_sessions_of_a_pool_share_no_pod() -> None:
    async with two_operators() as (world, operators):
        await world.apply_pool(warm=2, max=8)
        await eventually(lambda: world.pool_status().get("warm", 0) >= 2)
        sessions = [f"ball-{number}" for number in range(4)]
        for name in sessions:
            await world.apply(name, **POOLED)
        for name in sessions:
            await world.reach("Ready", name)
        assert len(_pods_on_record(world, sessions)) == 4
        assert all(len(agent.assignments) <= 1 for agent in world.agents.values())
        # Each may have taken another pod for the same session: the one that lost is removed.
        await eventually(lambda: _pods_of_sessions(world) == _pods_on_record(world, sessions))
        assert len(_pods_of_sessions(world)) == 4
        assert {world.status(name)["phase"] for name in sessions} == {"Ready"}
        for name in sessions:
            await tell(operators, name)
        created = len([item for item in world.api.writes_of("pods") if item.method == "POST"])
        await asyncio.sleep(1)
        again = len([item for item in world.api.writes_of("pods") if item.method == "POST"])
        assert again == created, "no storm of pods"
