"""The operator is killed at every step of a life, and a new one takes over.

Every life below is lived once for each of its steps: the operator dies right before the step's
call, or after its effect and before its answer, and the next operator finds what is there. A life
names no steps, they are counted while it is lived: a write that is added to the operator is one
more place to die at. What must hold at the end is the same wherever the operator died.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from fakes.agent import FakeAgent
from fakes.crash import Crash, Moment
from fakes.kube_api import Body
from fakes.world import NAMESPACE, PATIENCE_S, World, eventually, running_world
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_core.names import LABEL_POOL, LABEL_SESSION

# A process that dies closes nothing: its sockets are left to the garbage collector here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)

POD = "operator-0"
"""A container that is started again has its pod's identity, and with it the Lease."""

Life = Callable[[World], Coroutine[Any, Any, None]]


async def hint(world: World, name: str = "ball") -> None:
    """Hints may be lost: an operator that starts looks at everything."""
    with suppress(aiohttp.ClientError, AttributeError):
        await world.hint(name)


async def reach(world: World, phase: str, name: str = "ball") -> Body:
    await eventually(lambda: world.phase(name) == phase)
    return world.status(name)


async def play(world: World, name: str = "ball") -> None:
    """A client comes, and leaves when its work is done."""
    agent = serving(world, name)
    agent.move(AgentPhase.CONNECTED)
    await hint(world, name)
    await reach(world, "Connected", name)
    agent.move(AgentPhase.COMPLETED)
    await hint(world, name)
    await reach(world, "Completed", name)


def serving(world: World, name: str = "ball") -> FakeAgent:
    return world.agents[world.status(name)["pod"]["uid"]]


async def expire(world: World, name: str = "ball") -> None:
    world.clock.advance(601)
    await hint(world, name)
    await eventually(lambda: world.session(name) is None)


# Lives. Each one is driven from outside and knows nothing of the operator's death.


async def completes(world: World) -> None:
    await world.apply(ttlSecondsAfterFinished=600)
    await reach(world, "Ready")
    await play(world)
    await expire(world)
    assert count_assigned(world) == 1


async def completes_with_its_own_client(world: World) -> None:
    await world.apply(ttlSecondsAfterFinished=600, client={"builtIn": True})
    await eventually(lambda: world.pods(names.ROLE_CLIENT))
    await play(world)
    assert len(world.pods(names.ROLE_CLIENT)) == 1
    await expire(world)
    assert count_assigned(world) == 1


async def runs_into_its_idle_timeout(world: World) -> None:
    await world.apply(idleTimeoutSeconds=30)
    await reach(world, "Ready")
    world.clock.advance(31)
    await hint(world)
    status = await reach(world, "Failed")
    assert status["reason"] == "IdleTimeout"
    assert [drain["reason"] for drain in world.agent().drains][:1] == ["IdleTimeout"]
    await eventually(lambda: world.pods() == [])
    assert count_assigned(world) == 1


async def loses_its_pod_and_gets_another(world: World) -> None:
    await world.apply(restartPolicy="OnPodLoss", ttlSecondsAfterFinished=600)
    lost = (await reach(world, "Ready"))["pod"]["uid"]
    (pod,) = world.pods()
    await world.kill_pod(pod)
    await eventually(lambda: world.phase() == "Ready" and world.status()["pod"]["uid"] != lost)
    assert world.status()["pod"]["restarts"] == 1
    await play(world)
    await expire(world)
    assert count_assigned(world) == 2


async def takes_a_warm_pod(world: World) -> None:
    await filled_pool(world, warm=1, max=3)
    await world.apply(
        poolRef={"name": "media"}, access={"mode": "Public"}, ttlSecondsAfterFinished=600
    )
    status = await reach(world, "Ready")
    assert status["pod"]["origin"] == "Warm"
    await play(world)
    await expire(world)
    assert count_assigned(world) == 1
    await settled(world, warm=1)


async def comes_with_a_connection(world: World) -> None:
    """The router has assigned the pod, and then it makes the session."""
    (pod,) = await filled_pool(world, warm=1, max=3)
    await world.connect(pod, session="media-abc", ttlSecondsAfterFinished=600)
    status = await reach(world, "Ready", "media-abc")
    assert status["pod"]["uid"] == pod["metadata"]["uid"]
    await play(world, "media-abc")
    await expire(world, "media-abc")
    assert count_assigned(world) == 0, "the router assigned the pod, nobody did so again"
    await settled(world, warm=1)


async def is_a_pool_with_tokens_that_shrinks(world: World) -> None:
    await filled_pool(world, warm=2, spec={"access": {"mode": "Token"}})
    await eventually(lambda: world.pool_status().get("access"))
    assert [item["metadata"]["name"] for item in world.api.all("secrets")] == ["media-pool-access"]

    def shrink(body: Body) -> None:
        body["spec"]["warm"] = 1

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", shrink)
    await settled(world, warm=1)


LIVES: dict[Life, int] = {
    completes: 7,
    completes_with_its_own_client: 8,
    runs_into_its_idle_timeout: 7,
    loses_its_pod_and_gets_another: 11,
    # A pool's counts are written once a second at most: how often, varies with the machine.
    takes_a_warm_pod: 14,
    comes_with_a_connection: 13,
    is_a_pool_with_tokens_that_shrinks: 10,
}
"""Each life and how many steps it takes; `test_no_step_is_left_out` holds them to that."""


# What is asked of pools


async def filled_pool(world: World, *, spec: Body | None = None, **members: Any) -> list[Body]:
    await world.apply_pool(spec=spec, **members)
    await eventually(lambda: world.pool_status().get("warm") == members["warm"])
    return waiting(world)


def waiting(world: World) -> list[Body]:
    """Pods that wait in the pool."""
    return [
        pod
        for pod in world.pods()
        if LABEL_POOL in pod["metadata"]["labels"]
        and LABEL_SESSION not in pod["metadata"]["labels"]
        and "deletionTimestamp" not in pod["metadata"]
    ]


async def settled(world: World, *, warm: int) -> None:
    """The pool has so many pods, all idle, and no other; what is beyond goes after its grace."""

    async with asyncio.timeout(PATIENCE_S):
        while not len(world.pods()) == len(waiting(world)) == warm:
            world.clock.advance(1)
            await touch(world)
            await asyncio.sleep(0.02)
    await eventually(lambda: world.pool_status().get("warm") == warm)


async def touch(world: World) -> None:
    """Have the operator look at the pool: its own timers run on real time."""

    def change(body: Body) -> None:
        body["metadata"]["annotations"] = {"touched": str(world.clock.now())}

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", change)


def count_assigned(world: World) -> int:
    """Pods that an operator has ever assigned."""
    return sum(1 for agent in world.agents.values() if agent.assignments)


# Dying


async def live(life: Life, *, crash: Crash) -> None:
    """Live a life through the death of its operator; then nothing may be left over."""
    async with running_world() as world:
        # Begun before any operator: kopf ends the tasks that began after it.
        driver = asyncio.create_task(life(world), name="life")
        death = asyncio.create_task(crash.happened.wait(), name="death")
        try:
            async with world.running_operator(crash=crash, lease_identity=POD):
                await asyncio.wait({driver, death}, return_when=asyncio.FIRST_COMPLETED)
            if not driver.done():
                async with world.running_operator(lease_identity=POD):
                    await driver
            await driver
        finally:
            driver.cancel()
            death.cancel()
            await asyncio.gather(driver, death, return_exceptions=True)
        check_nothing_is_left(world)


def check_nothing_is_left(world: World) -> None:
    alive = {
        item["metadata"]["uid"]
        for plural in (names.SESSION_PLURAL, names.POOL_PLURAL)
        for item in world.api.all(plural)
    }
    for item in [*world.api.all("pods"), *world.api.all("secrets")]:
        owners = {owner["uid"] for owner in item["metadata"]["ownerReferences"]}
        assert owners <= alive, f"{item['metadata']['name']} belongs to nobody"
    for agent in world.agents.values():
        ids = {assignment.assignment_id for assignment in agent.assignments}
        assert len(ids) <= 1, "a pod was given to two sessions"


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize(
    ("life", "step"),
    [
        pytest.param(life, step, id=f"{life.__name__}-{step}")
        for life, steps in LIVES.items()
        for step in range(1, steps + 1)
    ],
)
async def test_life_goes_on_wherever_its_operator_died(
    life: Life, step: int, moment: Moment
) -> None:
    await live(life, crash=Crash(step, moment))


@pytest.mark.parametrize(
    ("life", "steps"), [pytest.param(*item, id=item[0].__name__) for item in LIVES.items()]
)
async def test_no_step_is_left_out(life: Life, steps: int) -> None:
    """A life that takes more steps than it is killed at: raise its number."""
    never = Crash(1000, Moment.BEFORE)
    await live(life, crash=never)
    assert 1 < len(never.steps) <= steps, never.steps
