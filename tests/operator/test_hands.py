"""What a user's hand can do to the operator's objects, and what becomes of it."""

from typing import Any

import pytest

from fakes.kube_api import Body
from fakes.world import NAMESPACE, World, eventually, with_operator
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_core.api import SessionKey

POOLED: Body = {"poolRef": {"name": "media"}, "access": {"mode": "Public"}}


async def filled(world: World, *, warm: int = 1, **spec: Any) -> list[Body]:
    """Apply a pool and wait until it is full."""
    await world.apply_pool(warm=warm, **spec)
    await eventually(lambda: world.pool_status().get("warm") == warm)
    return world.pods()


async def edit_labels(world: World, pod: Body, **labels: str | None) -> None:
    """`kubectl label`; `None` removes."""

    def change(body: Body) -> None:
        for name, value in labels.items():
            key = f"{names.GROUP}/{name}"
            if value is None:
                del body["metadata"]["labels"][key]
            else:
                body["metadata"]["labels"][key] = value

    await world.api.edit("pods", NAMESPACE, pod["metadata"]["name"], change)


async def adopted(world: World) -> Body:
    """A session with a pod out of the pool; the pod."""
    await filled(world, max=2)
    await world.apply(**POOLED)
    name = (await world.reach("Ready"))["pod"]["name"]
    pod = world.api.get("pods", NAMESPACE, name)
    assert pod is not None
    return pod


@pytest.mark.parametrize("label", ["session", "pool"])
@with_operator
async def test_adopted_pod_without_its_label_stays_the_sessions(world: World, label: str) -> None:
    """Whose a pod is, its controller says."""
    pod = await adopted(world)
    await edit_labels(world, pod, **{label: None})
    agent = world.agent_of(pod)
    agent.move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    agent.move(AgentPhase.COMPLETED)
    await world.hint()
    status = await world.reach("Completed")
    assert status["pod"]["uid"] == pod["metadata"]["uid"]
    assert sum(1 for item in world.agents.values() if item.assignments) == 1


@with_operator
async def test_adopted_pod_without_its_label_is_missed_when_it_goes(world: World) -> None:
    pod = await adopted(world)
    await edit_labels(world, pod, session=None)
    await world.kill_pod(pod)
    assert (await world.reach("Failed"))["reason"] == "PodLost"


@with_operator
async def test_pod_that_another_session_is_labelled_with_stays_its_owners(world: World) -> None:
    pod = await adopted(world)
    await edit_labels(world, pod, session="thief")
    await world.apply("thief")
    thief = await world.reach("Ready", "thief")
    assert thief["pod"]["uid"] != pod["metadata"]["uid"]
    await world.hint()
    assert world.status()["pod"]["uid"] == pod["metadata"]["uid"]
    assert world.phase() == "Ready"


@with_operator
async def test_adopted_pod_without_its_owner_is_lost_to_its_session_and_removed(
    world: World,
) -> None:
    """What `kubectl delete --cascade=orphan` does to a session's pod, done by hand."""
    pod = await adopted(world)

    def orphan(body: Body) -> None:
        body["metadata"]["ownerReferences"] = []

    await world.api.edit("pods", NAMESPACE, pod["metadata"]["name"], orphan)
    assert (await world.reach("Failed"))["reason"] == "PodLost"
    await world.operator.resync.run_once()
    uid = pod["metadata"]["uid"]
    await eventually(lambda: uid not in {item["metadata"]["uid"] for item in world.pods()})


@with_operator
async def test_idle_pod_without_its_label_still_counts_and_is_taken(world: World) -> None:
    (pod,) = await filled(world, max=1)
    await edit_labels(world, pod, pool=None)
    key = pod["metadata"]["name"]
    await world.apply(**POOLED)
    status = await world.reach("Ready")
    assert status["pod"]["name"] == key, "no second pod beside the one that max allows"
    assert len(world.api.writes_of("pods")) == 2, "its creation and its adoption"
    taken = world.api.get("pods", NAMESPACE, key)
    assert taken is not None
    assert taken["metadata"]["labels"][names.LABEL_POOL] == "media", "it is there again"
    await eventually(lambda: world.pool_status().get("inUse") == 1)


@with_operator
async def test_pods_role_removed_by_hand_takes_the_pod_from_its_session(world: World) -> None:
    """Without the role no watch of podstream shows the pod: to its session it is gone."""
    pod = await adopted(world)

    def strip(body: Body) -> None:
        del body["metadata"]["labels"][names.LABEL_ROLE]

    await world.api.edit("pods", NAMESPACE, pod["metadata"]["name"], strip)
    status = await world.reach("Failed")
    assert status["reason"] == "PodLost"


@with_operator
async def test_idle_pod_that_is_deleted_is_replaced(world: World) -> None:
    first, second = await filled(world, warm=2)
    await world.kill_pod(first)
    await eventually(lambda: len(world.pods()) == 2)
    await eventually(lambda: world.pool_status().get("warm") == 2)
    assert second["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in world.pods()}
    assert len([write for write in world.api.writes_of("pods") if write.method == "POST"]) == 3


@with_operator
async def test_pod_that_is_deleted_while_it_is_assigned_means_the_next_one(world: World) -> None:
    """The agent has accepted; the pod is gone before its adoption is written."""
    pods = await filled(world, warm=2)
    oldest = min(pods, key=lambda pod: str(pod["metadata"]["name"]))
    world.api.fail("PATCH", f"/pods/{oldest['metadata']['name']}$", status=500)
    await world.apply(**POOLED)
    await eventually(lambda: world.agent_of(oldest).assignments)
    await world.kill_pod(oldest)
    status = await world.reach("Ready")
    assert status["pod"]["uid"] != oldest["metadata"]["uid"]
    assert status["pod"]["restarts"] == 0
    await eventually(lambda: world.pool_status().get("warm") == 2)


@with_operator
async def test_pod_that_a_connection_was_given_and_that_is_deleted_ends_its_session(
    world: World,
) -> None:
    """The connection is gone with it, and cannot have another pod."""
    (pod,) = await filled(world)
    await world.kill_pod(pod)
    await world.connect(pod, session="media-abc")
    await eventually(lambda: world.operator.cache.session(SessionKey(NAMESPACE, "media-abc")))
    world.clock.advance(6)
    await world.hint("media-abc")
    status = await world.reach("Failed", "media-abc")
    assert status["reason"] == "PodLost"


@with_operator
async def test_token_of_a_pool_comes_back_when_its_secret_is_deleted(world: World) -> None:
    await filled(world, spec={"access": {"mode": "Token"}})
    (secret,) = world.api.all("secrets")
    name = secret["metadata"]["name"]
    await world.api.remove("secrets", NAMESPACE, name)
    world.clock.advance(61)
    await touch_pool(world)
    await eventually(lambda: world.api.get("secrets", NAMESPACE, name))
    assert world.pool_status()["access"]["secretName"] == name


@with_operator
async def test_status_of_a_pool_is_repaired(world: World) -> None:
    await filled(world)
    good = world.pool_status()

    def spoil(body: Body) -> None:
        body["status"] |= {"warm": 17, "inUse": 4, "selector": "everything"}
        body["status"]["conditions"][0]["status"] = "Unknown"
        del body["status"]["shape"]

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", spoil)

    def repaired() -> bool:
        status = world.pool_status()
        return {key: status.get(key) for key in good} == good

    await eventually(repaired)
    assert len(world.pods()) == 1


@with_operator
async def test_status_of_a_connections_session_is_repaired(world: World) -> None:
    (pod,) = await filled(world)
    await world.connect(pod, session="media-abc")
    good = await world.reach("Ready", "media-abc")

    def spoil(body: Body) -> None:
        body["status"] = {"phase": "Failed", "reason": "BecauseISaySo"}

    await world.api.edit(names.SESSION_PLURAL, NAMESPACE, "media-abc", spoil)
    await eventually(lambda: world.status("media-abc") == good)
    assert world.agent_of(pod).drains == []


async def touch_pool(world: World) -> None:
    def change(body: Body) -> None:
        body["metadata"]["annotations"] = {"touched": str(world.clock.now())}

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", change)
