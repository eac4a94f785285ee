"""An API server that is busy, broken or slow, and watches that break off, under whole pools.

`test_faults.py` has the same for single sessions.
"""

import asyncio
import time
from functools import partial

import pytest

from fakes.kube_api import Body
from fakes.world import NAMESPACE, World, eventually, running_world, with_operator
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_core.names import LABEL_SESSION

POOLED: Body = {"poolRef": {"name": "media"}, "access": {"mode": "Public"}}

EVERY_CALL = [
    pytest.param(method, path, id=name)
    for method, path, name in [
        ("POST", "/pods$", "create-pod"),
        ("PATCH", "/pods/", "adopt-pod"),
        ("PATCH", "/streampools/media/status$", "write-pool-status"),
        ("PATCH", "/streamsessions/.*/status$", "write-session-status"),
        ("POST", "/secrets$", "create-secret"),
        ("GET", "/secrets/", "read-secret"),
        ("GET", "/pods$", "list-pods"),
        ("WATCH", "/", "watch"),
    ]
]
EVERY_FAULT = [
    pytest.param(429, False, id="429"),
    pytest.param(500, False, id="500"),
    pytest.param(503, True, id="503-answer-lost"),
]


def live_pods(world: World) -> int:
    return sum(1 for pod in world.pods() if "deletionTimestamp" not in pod["metadata"])


@pytest.mark.parametrize(("status", "after"), EVERY_FAULT)
@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
@with_operator
async def test_pool_serves_whichever_call_fails(
    world: World, method: str, path: str, status: int, after: bool
) -> None:
    """Twice in a row; never a pod more than `max`, never two for one session."""
    world.api.fail(method, path, status=status, times=2, after=after)
    most = 0

    def watched() -> int:
        nonlocal most
        most = max(most, live_pods(world))
        return most

    await world.apply_pool(warm=1, max=2, spec={"access": {"mode": "Token"}})
    await eventually(lambda: watched() and world.pool_status().get("warm") == 1, within_s=8)
    await world.apply(**POOLED)
    await eventually(lambda: watched() and world.phase() == "Ready", within_s=8)
    await eventually(lambda: watched() and world.pool_status().get("inUse") == 1, within_s=8)
    world.agent_of(pod_of(world)).move(AgentPhase.COMPLETED)
    await world.hint()
    await eventually(lambda: watched() and world.phase() == "Completed", within_s=8)
    await eventually(lambda: watched() and world.pool_status().get("warm") == 1, within_s=8)
    assert most == 2
    assert sum(1 for agent in world.agents.values() if agent.assignments) == 1


def has_phase(world: World, name: str, phase: str) -> bool:
    return world.phase(name) == phase


def pod_of(world: World, name: str = "ball") -> Body:
    pod = world.api.get("pods", NAMESPACE, world.status(name)["pod"]["name"])
    assert pod is not None
    return pod


@with_operator
async def test_pod_whose_creation_was_not_answered_counts_before_the_next_one(
    world: World,
) -> None:
    """The watch is late, and only a list could tell that the pod is there."""
    world.api.frozen_watches = True
    world.api.fail("POST", "/pods$", status=503, after=True)
    # The pool itself comes by a list, since no watch shows it.
    await world.apply_pool(warm=1, max=1)
    await world.operator.resync.run_once()
    await eventually(lambda: len(world.pods()) == 1)
    for _ in range(20):
        await world.operator.resync.find_missing()
        assert len(world.api.writes_of("pods")) <= 1
        await asyncio.sleep(0.05)
    world.api.frozen_watches = False
    await world.api.drop_watches()
    await eventually(lambda: world.pool_status().get("warm") == 1)
    assert len(world.pods()) == 1


@with_operator
async def test_wish_to_be_left_alone_is_granted(world: World) -> None:
    """429 with Retry-After: API Priority and Fairness asks for a pause."""
    world.api.fail("POST", "/pods$", status=429, headers={"Retry-After": "1"})
    await world.apply()
    await eventually(lambda: "POST /api/v1/namespaces/media/pods" in world.api.requests)
    begun = time.monotonic()
    await world.reach("Ready")
    assert time.monotonic() - begun > 0.9


@with_operator
async def test_late_answer_holds_nobody_else_up(world: World) -> None:
    world.api.fail("PATCH", "/streamsessions/slow/status$", status=200, delay_s=3)
    begun = time.monotonic()
    await world.apply("slow")
    await eventually(lambda: [item for item in world.api.requests if "slow/status" in item])
    for name in ("a", "b", "c"):
        await world.apply(name)
    for name in ("a", "b", "c"):
        await world.reach("Ready", name)
    assert world.phase("slow") is None
    await world.reach("Ready", "slow")
    assert time.monotonic() - begun > 3


@pytest.mark.long
async def test_whole_life_with_answers_that_take_five_seconds() -> None:
    """Every write is answered late; nothing is done twice."""
    async with running_world() as world, world.running_operator():
        for method in ("POST", "PATCH", "DELETE"):
            path = "/(pods|secrets|streamsessions)"
            world.api.fail(method, path, status=200, times=99, delay_s=5)
        await world.apply(idleTimeoutSeconds=600)
        await eventually(lambda: world.phase() == "Ready", within_s=30)
        world.agent().move(AgentPhase.COMPLETED)
        await world.hint()
        await eventually(lambda: world.phase() == "Completed", within_s=30)
        first, second, *rest = world.api.life_writes()
        assert {first, second} == {("POST", "secrets"), ("POST", "pods")}
        assert rest == [("PATCH", "streamsessions/status")] * 2


@pytest.mark.parametrize("gone", [False, True], ids=["broken-off", "expired"])
@with_operator
async def test_sessions_come_and_go_while_watches_break_all_the_time(
    world: World, gone: bool
) -> None:
    async def break_watches() -> None:
        while True:
            await asyncio.sleep(0.1)
            await world.api.drop_watches(gone=gone)

    await world.apply_pool(warm=2, max=6)
    trouble = asyncio.create_task(break_watches())
    try:
        sessions = [f"ball-{number}" for number in range(4)]
        for name in sessions:
            await world.apply(name, **POOLED)
        for name in sessions:
            await eventually(partial(has_phase, world, name, "Ready"), within_s=15)
        for name in sessions:
            world.agent_of(pod_of(world, name)).move(AgentPhase.COMPLETED)
            await world.hint(name)
        for name in sessions:
            await eventually(partial(has_phase, world, name, "Completed"), within_s=15)
    finally:
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
    assert sum(1 for agent in world.agents.values() if agent.assignments) == 4
    assert all(len(agent.assignments) <= 1 for agent in world.agents.values())


@with_operator
async def test_idle_pod_deleted_while_the_watch_was_broken_is_replaced(world: World) -> None:
    await world.apply_pool(warm=2)
    await eventually(lambda: world.pool_status().get("warm") == 2)
    lost = world.pods()[0]
    await world.kill_pod(lost, quiet=True)
    await world.api.drop_watches(gone=True)
    await eventually(lambda: len(world.pods()) == 2)
    assert lost["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in world.pods()}


@with_operator
async def test_pool_deleted_while_the_watch_was_broken_is_forgotten(world: World) -> None:
    await world.apply_pool(warm=1)
    await eventually(lambda: world.pool_status().get("warm") == 1)
    await world.apply("witness")
    await world.reach("Ready", "witness")
    await world.api.remove(names.POOL_PLURAL, NAMESPACE, "media", quiet=True)
    await world.api.drop_watches(gone=True)
    await eventually(lambda: world.operator.cache.pools() == [])
    idle = [pod for pod in world.pods() if LABEL_SESSION not in pod["metadata"]["labels"]]
    assert idle == []
