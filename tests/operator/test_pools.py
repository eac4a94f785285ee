"""Pools in the whole operator: fake API server, fake kubelet, fake agents, real rest."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from fakes.kube_api import Body
from fakes.world import NAMESPACE, World, eventually, running_world, with_operator
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_core.api import SessionKey
from podstream_core.names import LABEL_POOL, LABEL_SESSION

pytestmark = pytest.mark.asyncio


def warm(world: World, pool: str = "media") -> list[Body]:
    """Pods that wait in a pool."""
    return [
        pod
        for pod in world.pods()
        if pod["metadata"]["labels"].get(LABEL_POOL) == pool
        and LABEL_SESSION not in pod["metadata"]["labels"]
        and "deletionTimestamp" not in pod["metadata"]
    ]


def owners(pod: Body) -> list[tuple[str, str]]:
    return [(item["kind"], item["name"]) for item in pod["metadata"]["ownerReferences"]]


def has(world: World, pool: str = "media", **counts: int) -> Callable[[], bool]:
    """Whether a pool's status shows these counts."""
    return lambda: {name: world.pool_status(pool).get(name) for name in counts} == counts


def pool_condition(world: World, kind: str, pool: str = "media") -> tuple[str, str]:
    for item in world.pool_status(pool).get("conditions", []):
        if item["type"] == kind:
            return item["status"], item["reason"]
    return "", ""


async def filled(world: World, **spec: Any) -> list[Body]:
    """Apply a pool and wait until it is full."""
    await world.apply_pool(**spec)
    await eventually(has(world, warm=spec.get("warm", 1), starting=0))
    return warm(world)


@with_operator
async def test_a_pool_keeps_its_pods_warm(world: World) -> None:
    pods = await filled(world, warm=3)
    assert len(pods) == 3
    assert all(owners(pod) == [(names.POOL_KIND, "media")] for pod in pods)
    assert pool_condition(world, "Ready") == ("True", "PodsWarm")
    assert world.pool_status()["selector"] == "podstream.dev/pool=media"
    assert not any(world.agent_of(pod).confirmed for pod in pods), "looking confirms nothing"


@with_operator
async def test_a_session_takes_a_warm_pod_of_the_pool_it_names(world: World) -> None:
    pods = await filled(world, warm=2)
    await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
    status = await world.reach("Ready")
    uids = {pod["metadata"]["uid"] for pod in pods}
    assert status["pod"]["uid"] in uids
    assert status["pod"]["origin"] == "Warm"
    taken = world.api.get("pods", NAMESPACE, status["pod"]["name"])
    assert taken is not None
    assert owners(taken) == [(names.SESSION_KIND, "ball")]
    assert taken["metadata"]["labels"][LABEL_SESSION] == "ball"
    await eventually(has(world, warm=2, inUse=1))
    assert len(world.pods()) == 3


@with_operator
async def test_sessions_at_once_get_distinct_pods(world: World) -> None:
    await filled(world, warm=4, max=8)
    sessions = [f"ball-{number}" for number in range(8)]
    for name in sessions:
        await world.apply(name, poolRef={"name": "media"}, access={"mode": "Public"})
    for name in sessions:
        await world.reach("Ready", name)
    pods = [world.status(name)["pod"]["uid"] for name in sessions]
    assert len(set(pods)) == 8
    assert all(len(agent.assignments) <= 1 for agent in world.agents.values())
    await eventually(has(world, warm=0, inUse=8))


@with_operator
async def test_a_session_waits_while_the_pool_is_exhausted(world: World) -> None:
    await filled(world, warm=1, max=1)
    await world.apply("first", poolRef={"name": "media"}, access={"mode": "Public"})
    await world.reach("Ready", "first")
    await world.apply("second", poolRef={"name": "media"}, access={"mode": "Public"})
    await eventually(lambda: world.condition("Ready", "second").get("reason") == "PoolExhausted")
    assert len(world.pods()) == 1
    await world.api.remove(names.SESSION_PLURAL, NAMESPACE, "first")
    await world.reach("Ready", "second")
    assert len([agent for agent in world.agents.values() if agent.assignments]) == 2


@with_operator
async def test_a_session_of_a_pool_that_is_missing_says_so_and_takes_it_when_it_comes(
    world: World,
) -> None:
    await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
    await eventually(lambda: world.condition("Ready").get("reason") == "PoolNotFound")
    assert world.pods() == []
    await world.apply_pool()
    await world.reach("Ready")


@with_operator
async def test_a_session_of_another_shape_fails_and_says_why(world: World) -> None:
    await filled(world)
    await world.apply(poolRef={"name": "media"}, pod={"nodeSelector": {"disk": "ssd"}})
    status = await world.reach("Failed")
    assert status["reason"] == "PoolTemplateMismatch"
    assert "spec.pod" in status["message"]


@with_operator
async def test_a_session_without_a_pool_takes_a_warm_pod_only_where_that_is_allowed(
    world: World,
) -> None:
    await filled(world)
    await world.apply("own", access={"mode": "Public"})
    assert (await world.reach("Ready", "own"))["pod"]["origin"] == "Cold"
    await world.apply_pool("open", allowUnreferenced=True)
    await eventually(has(world, "open", warm=1))
    await world.apply("lucky", access={"mode": "Public"})
    status = await world.reach("Ready", "lucky")
    assert status["pod"]["origin"] == "Warm"
    assert status["pod"]["name"].startswith("open-")


@with_operator
async def test_a_connection_brings_its_own_pod_and_costs_five_writes(world: World) -> None:
    (pod,) = await filled(world)
    before = len(world.api.life_writes())
    await world.connect(pod, session="media-abc")
    agent = world.agent_of(pod)
    agent.move(AgentPhase.CONNECTED)
    await world.hint("media-abc")
    status = await world.reach("Connected", "media-abc")
    assert status["pod"]["uid"] == pod["metadata"]["uid"]
    assert status["pod"]["origin"] == "Warm"
    session = world.session("media-abc")
    assert session is not None
    arrived = session["metadata"]["annotations"][names.ANNOTATION_ARRIVED_AT]
    applied = datetime.fromisoformat(status["timeline"]["appliedAt"])
    assert applied == datetime.fromisoformat(arrived)
    assert "access" not in status, "the router gave the client its token"
    agent.move(AgentPhase.COMPLETED)
    await world.hint("media-abc")
    await world.reach("Completed", "media-abc")
    own = [
        item
        for item in world.api.life_writes()[before:]
        if item != ("POST", "pods") and not item[1].startswith("streampools")
    ]
    # Adoption, Connected (or Ready first), Completed; creation and the TTL's deletion are two more.
    assert len(own) <= 4
    assert agent.assignments == [], "the operator did not assign it again"


@with_operator
async def test_a_pod_that_does_not_confirm_is_not_adopted(world: World) -> None:
    (pod,) = await filled(world)
    await world.connect(pod, session="media-abc")
    await world.reach("Ready", "media-abc")
    # Another session claims the same pod in its annotation.
    stolen = world.session("media-abc")
    assert stolen is not None
    thief = {
        "apiVersion": names.API_VERSION,
        "kind": names.SESSION_KIND,
        "metadata": {
            "name": "thief",
            "namespace": NAMESPACE,
            "labels": stolen["metadata"]["labels"],
            "annotations": stolen["metadata"]["annotations"],
        },
        "spec": stolen["spec"],
    }
    await world.api.create(names.SESSION_PLURAL, thief)
    key = SessionKey(NAMESPACE, "thief")
    await eventually(lambda: world.operator.cache.session(key))
    world.clock.advance(6)
    await world.hint("thief")
    status = await world.reach("Failed", "thief")
    assert status["reason"] in ("PodLost", "AssignmentNotConfirmed")
    assert world.phase("media-abc") == "Ready"


@with_operator
async def test_a_restarted_operator_finds_its_half_made_adoption(world: World) -> None:
    """Assigned, and the adoption was never written."""
    (pod,) = await filled(world)
    fault = world.api.fail("PATCH", f"/pods/{pod['metadata']['name']}$", status=500, times=1000)
    await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
    await eventually(lambda: world.agent_of(pod).assignments)
    assert world.phase() != "Ready"
    fault.times = 0
    await world.hint()
    status = await world.reach("Ready")
    assert status["pod"]["uid"] == pod["metadata"]["uid"]
    assert len([agent for agent in world.agents.values() if agent.assignments]) == 1


async def test_an_assignment_survives_the_operator_that_made_it() -> None:
    async with running_world() as world:
        async with world.running_operator():
            pods = await filled(world, warm=3)
            world.api.fail("PATCH", "/pods/", status=500, times=1000)
            await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
            await eventually(lambda: any(world.agent_of(pod).assignments for pod in pods))
        world.api.clear_faults()
        async with world.running_operator():
            status = await world.reach("Ready")
            (assigned,) = [pod for pod in pods if world.agent_of(pod).assignments]
            assert status["pod"]["uid"] == assigned["metadata"]["uid"]


@with_operator
async def test_waiting_connections_start_pods_up_to_max(world: World) -> None:
    await world.apply_pool(warm=0, max=3)
    await eventually(lambda: pool_condition(world, "Ready") == ("True", "ScaledToZero"))
    assert world.pods() == []
    assert await world.demand(5) == 202
    await eventually(lambda: len(warm(world)) == 3)
    assert await world.demand(1, pool="nothing") == 404


@with_operator
async def test_a_smaller_pool_retires_idle_pods_and_no_other(world: World) -> None:
    pods = await filled(world, warm=3)
    # One of them is assigned by a router in this very moment, and nobody knows yet.
    taken = pods[2]
    agent = world.agent_of(taken)
    agent.state = agent.state.__class__.from_body(
        {**agent.state.to_body(), "phase": "Connected", "assignmentId": "unknown-yet"}
    )
    await scale(world, 0)
    memories = world.operator.pool_memories
    await eventually(lambda: any(memory.excess_since for memory in memories()))
    world.clock.advance(11)
    await nudge(world)
    await eventually(lambda: len(world.pods()) == 1)
    assert world.pods()[0]["metadata"]["uid"] == taken["metadata"]["uid"]


async def nudge(world: World, pool: str = "media") -> None:
    """Make the operator look at a pool."""

    def change(body: Body) -> None:
        body["metadata"]["annotations"] = {"nudge": str(world.clock.now())}

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, pool, change)


async def scale(world: World, warm: int, pool: str = "media") -> None:
    def change(body: Body) -> None:
        body["spec"]["warm"] = warm

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, pool, change)


@with_operator
async def test_a_change_of_the_template_replaces_idle_pods_only(world: World) -> None:
    old = await filled(world, warm=2, max=4)
    await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
    in_use = (await world.reach("Ready"))["pod"]["uid"]
    await eventually(has(world, warm=2, inUse=1))

    def change(body: Body) -> None:
        body["spec"]["template"]["spec"]["pod"] = {"nodeSelector": {"disk": "ssd"}}

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", change)
    await eventually(
        lambda: (
            len(warm(world)) == 2
            and all(pod["spec"].get("nodeSelector") == {"disk": "ssd"} for pod in warm(world))
        )
    )
    await eventually(lambda: pool_condition(world, "RolledOut") == ("True", "UpToDate"))
    assert in_use in {pod["metadata"]["uid"] for pod in world.pods()}
    assert world.phase() == "Ready"
    assert len(old) == 2


@with_operator
async def test_a_change_of_what_only_the_assignment_carries_replaces_nothing(world: World) -> None:
    before = {pod["metadata"]["uid"] for pod in await filled(world, warm=2)}

    def change(body: Body) -> None:
        body["spec"]["template"]["spec"]["circle"] = {"frames": 5}
        body["metadata"]["generation"] = 2

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", change)
    await eventually(lambda: world.pool_status().get("observedGeneration") == 2)
    assert {pod["metadata"]["uid"] for pod in warm(world)} == before


@with_operator
async def test_a_deleted_pool_leaves_its_sessions(world: World) -> None:
    await filled(world, warm=2)
    await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
    await world.reach("Ready")
    await world.api.remove(names.POOL_PLURAL, NAMESPACE, "media")
    await eventually(lambda: len(world.pods()) == 1)
    assert world.phase() == "Ready"


@with_operator
async def test_pods_that_fail_are_started_again_ever_more_slowly(world: World) -> None:
    world.auto_boot = False
    await world.apply_pool()
    (pod,) = await eventually(world.pods)
    await world.end_pod(pod, exit_code=1)
    await eventually(lambda: pool_condition(world, "Ready")[1] == "PodsFail")
    assert [
        item for item in world.pods() if item["metadata"]["uid"] == pod["metadata"]["uid"]
    ] == []
    world.clock.advance(1.5)
    await world.demand(1)
    await eventually(lambda: len(world.pods()) >= 1)


@with_operator
async def test_lingering_pods_give_way(world: World) -> None:
    (pod,) = await filled(world, warm=1, max=1)
    await world.connect(pod, session="media-abc")
    await world.reach("Ready", "media-abc")
    world.agent_of(pod).move(AgentPhase.COMPLETED)
    await world.hint("media-abc")
    await world.reach("Completed", "media-abc")
    await eventually(has(world, warm=1, inUse=0))
    assert pod["metadata"]["uid"] not in {item["metadata"]["uid"] for item in world.pods()}


@with_operator
async def test_the_history_is_bounded(world: World) -> None:
    await filled(world, warm=1, max=4, historyLimit=2)
    for number in range(4):
        (pod,) = await eventually(lambda: [item for item in warm(world) if booted(world, item)])
        await world.connect(pod, session=f"media-{number}")
        await world.reach("Ready", f"media-{number}")
        world.agent_of(pod).move(AgentPhase.COMPLETED)
        world.clock.advance(1)
        await world.hint(f"media-{number}")
        await eventually(partial(ended, world, f"media-{number}"))
        await eventually(has(world, warm=1))
    await eventually(lambda: len(world.api.all(names.SESSION_PLURAL)) == 2)
    assert world.session("media-3") is not None


def ended(world: World, name: str) -> bool:
    return world.phase(name) in (None, "Completed")


def booted(world: World, pod: Body) -> bool:
    return pod["metadata"]["uid"] in world.agents


@with_operator
async def test_a_pool_with_tokens_has_a_secret(world: World) -> None:
    await world.apply_pool(spec={"access": {"mode": "Token"}})
    secret = await eventually(lambda: world.api.get("secrets", NAMESPACE, "media-pool-access"))
    assert owners(secret) == [(names.POOL_KIND, "media")]
    await eventually(
        lambda: world.pool_status().get("access") == {"secretName": "media-pool-access"}
    )


@with_operator
async def test_the_younger_pool_of_a_listener_is_told(world: World) -> None:
    await world.apply_pool("older", listeners=["signalling"])
    await eventually(lambda: pool_condition(world, "ListenersAccepted", "older")[0] == "True")
    world.clock.advance(2)
    await world.apply_pool("younger", listeners=["signalling"])
    await eventually(
        lambda: pool_condition(world, "ListenersAccepted", "younger") == ("False", "ListenerTaken")
    )
    assert world.pool_status("older")["endpoints"][1]["protocol"] == "Signalling"


async def test_sessions_beyond_the_quota_of_a_namespace_fail_and_say_why() -> None:
    async with running_world() as world, world.running_operator(max_sessions_per_namespace=2):
        for number in range(2):
            await world.apply(f"ball-{number}")
            await world.reach("Ready", f"ball-{number}")
        world.clock.advance(1)
        await world.apply("ball-2")
        status = await world.reach("Failed", "ball-2")
        assert status["reason"] == "QuotaExceeded"
        assert "maxSessionsPerNamespace" in status["message"]
