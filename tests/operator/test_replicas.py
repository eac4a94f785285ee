"""The whole operator as one of several: waiting, taking over, losing, handing over."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from fakes.kube_api import Body
from fakes.world import NAMESPACE, World, eventually
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_operator.errors import LeadershipLost
from podstream_operator.leader import LeaseTiming
from podstream_operator.leader.lease import first_lease

NAME = "podstream-operator"
FAST = LeaseTiming(duration_s=1.0, renew_deadline_s=0.6, retry_period_s=0.1)
OTHER = "another-operator"


async def held_by_another(world: World) -> None:
    body = first_lease(
        namespace=NAMESPACE, name=NAME, holder=OTHER, timing=LeaseTiming(), now=datetime.now(UTC)
    )
    await world.api.create("leases", body)


async def let_go(world: World) -> None:
    def release(body: Body) -> None:
        del body["spec"]["holderIdentity"]

    await world.api.edit("leases", NAMESPACE, NAME, release)


def holder(world: World) -> str | None:
    spec: dict[str, Any] = (world.api.get("leases", NAMESPACE, NAME) or {}).get("spec", {})
    return spec.get("holderIdentity")


async def leads(world: World) -> bool:
    _, text = await world.fetch("/metrics")
    return "\npodstream_operator_leader 1.0\n" in text


async def test_follower_is_ready_and_does_nothing(cluster: World) -> None:
    await held_by_another(cluster)
    await cluster.apply()
    async with cluster.running_operator(leads=False, lease_timing=FAST):
        looked = len(cluster.api.requests)
        await eventually(lambda: len(cluster.api.requests) > looked + 3)
        assert (await cluster.fetch("/healthz"))[0] == 200
        assert (await cluster.fetch("/readyz"))[0] == 200
        assert await cluster.hint() == 503
        assert not await leads(cluster)
    assert cluster.api.writes == []
    assert cluster.phase() is None
    touched = {path.rsplit("/", 1)[-1] for path in cluster.api.requests}
    assert touched == {"v1alpha1", NAME}, "discovery and the Lease: nothing is listed or watched"
    assert holder(cluster) == OTHER


async def test_follower_takes_over_what_it_finds(cluster: World) -> None:
    await held_by_another(cluster)
    await cluster.apply()
    async with cluster.running_operator(leads=False, lease_timing=FAST):
        await let_go(cluster)
        await cluster.reach("Ready")
        assert await leads(cluster)
        assert await cluster.hint() == 202


async def test_follower_ends_when_it_is_told_to(cluster: World) -> None:
    await held_by_another(cluster)
    async with cluster.running_operator(leads=False):
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 1
    assert holder(cluster) == OTHER


async def test_clean_end_releases_after_the_last_write(cluster: World) -> None:
    async with cluster.running_operator(lease_identity="first"):
        await cluster.apply()
        await cluster.reach("Ready")
        assert holder(cluster) == "first"
    assert holder(cluster) is None
    released = int(cluster.api.all("leases")[0]["metadata"]["resourceVersion"])
    written = max(
        int(body["metadata"]["resourceVersion"])
        for kind in (names.SESSION_PLURAL, "pods", "secrets")
        for body in cluster.api.all(kind)
    )
    assert written < released


async def test_handover_in_the_middle_of_a_session(cluster: World) -> None:
    async with cluster.running_operator(lease_identity="first"):
        await cluster.apply()
        await cluster.reach("Ready")
    cluster.agent().move(AgentPhase.CONNECTED)
    async with cluster.running_operator(lease_identity="second"):
        await cluster.reach("Connected")
        cluster.agent().move(AgentPhase.COMPLETED)
        await cluster.hint()
        await cluster.reach("Completed")
    assert len(cluster.api.writes_of("secrets")) == 1
    assert [write.method for write in cluster.api.writes_of("pods")] == ["POST"]


async def test_leader_that_loses_its_lease_ends_and_writes_nothing_more(cluster: World) -> None:
    async def run() -> None:
        async with cluster.running_operator(lease_timing=FAST, lease_identity="first") as operator:
            await cluster.apply()
            await cluster.reach("Ready")

            def take(body: Body) -> None:
                body["spec"]["holderIdentity"] = OTHER

            await cluster.api.edit("leases", NAMESPACE, NAME, take)
            await eventually(lambda: not operator.elector.leads())
            before.extend(cluster.api.writes)
            cluster.agent().move(AgentPhase.COMPLETED)
            await asyncio.wait([cluster.process], timeout=5)

    before: list[Any] = []
    with pytest.raises(LeadershipLost, match=f"held by {OTHER}"):
        await run()
    assert cluster.api.writes == before
    assert holder(cluster) == OTHER, "what was lost is not released"


async def test_lone_operator_outlives_a_long_outage_by_a_restart(cluster: World) -> None:
    """No session notices: the pod goes on, and the next process finds it as it is."""

    async def run_until_the_api_is_gone() -> None:
        async with cluster.running_operator(lease_timing=FAST, lease_identity="pod_uid"):
            await cluster.apply()
            await cluster.reach("Ready")
            outage.append(cluster.api.fail("PUT", "/leases/", status=503, times=10**6))
            outage.append(cluster.api.fail("PATCH", "", status=503, times=10**6))
            cluster.agent().move(AgentPhase.CONNECTED)
            await asyncio.wait([cluster.process], timeout=5)

    outage: list[Any] = []
    with pytest.raises(LeadershipLost, match="not renewed"):
        await run_until_the_api_is_gone()
    for fault in outage:
        fault.times = 0
    async with cluster.running_operator(lease_timing=FAST, lease_identity="pod_uid"):
        await cluster.reach("Connected")
        cluster.agent().move(AgentPhase.COMPLETED)
        await cluster.hint()
        await cluster.reach("Completed")
    assert [write.method for write in cluster.api.writes_of("pods")] == ["POST"]


async def test_start_waits_for_an_api_that_is_away(cluster: World) -> None:
    fault = cluster.api.fail("GET", "/apis/podstream.dev", status=503)
    lease = cluster.api.fail("GET", "/leases/", status=503)
    await cluster.apply()
    async with cluster.running_operator(leads=False, lease_timing=FAST):
        await cluster.reach("Ready")
    assert fault.times == lease.times == 0
