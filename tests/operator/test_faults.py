"""The whole operator when something breaks: pods, the API, the operator itself, a user's hand."""

import asyncio
from typing import Any

import pytest

from fakes.kube_api import Body
from fakes.world import (
    NAMESPACE,
    World,
    eventually,
    running_world,
    session_body,
    termination_message,
    with_operator,
)
from podstream_core import names
from podstream_core.agentapi import AgentPhase, Failure
from podstream_core.api import CircleResults, Results
from podstream_operator.errors import ConfigError

LATEST = Results(circle=CircleResults(frames_scored=42))


@with_operator
async def test_lost_pod_fails_the_session_and_keeps_its_last_figures(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    world.agent().measure(LATEST)
    world.agent().move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    await world.kill_pod(world.pods()[0])
    status = await world.reach("Failed")
    assert status["reason"] == "PodLost"
    assert "was deleted" in status["message"]
    assert status["results"]["circle"]["framesScored"] == 42
    assert status["results"]["final"] is False
    assert len(world.api.writes_of("pods")) == 1


@with_operator
async def test_lost_pod_is_replaced_once(world: World) -> None:
    await world.apply(restartPolicy="OnPodLoss")
    first = await world.reach("Ready")
    await world.kill_pod(world.pods()[0])
    await eventually(lambda: world.status()["pod"]["restarts"] == 1 and world.phase() == "Ready")
    second = world.status()
    assert second["pod"]["name"] != first["pod"]["name"]
    assert second["timeline"]["appliedAt"] == first["timeline"]["appliedAt"]
    assert second["timeline"]["assignedAt"] > first["timeline"]["assignedAt"]
    assert second["access"] == first["access"]
    await world.kill_pod(world.pods()[0])
    status = await world.reach("Failed")
    assert status["reason"] == "PodLost"
    assert len(world.api.writes_of("secrets")) == 1
    assert [write.method for write in world.api.writes_of("pods")] == ["POST", "POST"]
    await eventually(lambda: len(world.api.all("events")) == 3)
    events = {event["reason"]: event for event in world.api.all("events")}
    assert list(events) == ["Ready", "PodReplaced", "PodLost"]
    names_of_both = (first["pod"]["name"], second["pod"]["name"])
    assert all(name in events["PodReplaced"]["note"] for name in names_of_both)


@with_operator
async def test_termination_message_carries_the_final_results(world: World) -> None:
    """The agent ends between two looks, and its pod with it."""
    await world.apply()
    await world.reach("Ready")
    agent = world.agent()
    agent.move(AgentPhase.COMPLETED, results=Results(final=True, circle=CircleResults(rmse_px=0.5)))
    message = termination_message(agent.state)
    await world.end_pod(world.pods()[0], exit_code=0, message=message, reason="Completed")
    status = await world.reach("Completed")
    assert status["results"]["final"] is True
    assert status["results"]["circle"]["rmsePx"] == 0.5


@with_operator
async def test_crashed_workload_is_the_reason(world: World) -> None:
    await world.apply(restartPolicy="OnPodLoss")
    await world.reach("Ready")
    agent = world.agent()
    agent.move(
        AgentPhase.FAILED, failure=Failure(reason="WorkloadCrashed", message="circle: SIGSEGV")
    )
    message = termination_message(agent.state)
    await world.end_pod(world.pods()[0], exit_code=1, message=message)
    status = await world.reach("Failed")
    assert (status["reason"], status["message"]) == ("WorkloadCrashed", "circle: SIGSEGV")
    assert world.condition("Completed")["status"] == "False"


@with_operator
async def test_pod_that_ends_after_completion_is_no_loss(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    world.agent().move(AgentPhase.COMPLETED)
    await world.hint()
    await world.reach("Completed")
    writes = len(world.api.life_writes())
    await world.end_pod(world.pods()[0], exit_code=0)
    await world.kill_pod(world.pods()[0])
    await world.hint()
    await world.fetch("/healthz")
    assert world.phase() == "Completed"
    assert len(world.api.life_writes()) == writes


@pytest.mark.parametrize(
    ("spec", "advance_s", "reason"),
    [
        pytest.param({"idleTimeoutSeconds": 30}, 31, "IdleTimeout", id="idle"),
        pytest.param({"activeDeadlineSeconds": 100}, 101, "DeadlineExceeded", id="deadline"),
    ],
)
@with_operator
async def test_limit_drains_first_and_deletes_the_pod_last(
    world: World, spec: dict[str, Any], advance_s: float, reason: str
) -> None:
    await world.apply(**spec)
    await world.reach("Ready")
    agent = world.agent()
    agent.measure(LATEST)
    world.clock.advance(advance_s)
    await world.hint()
    status = await world.reach("Failed")
    assert status["reason"] == reason
    assert [drain["reason"] for drain in agent.drains] == [reason]
    assert status["results"]["final"] is True
    await eventually(lambda: world.pods() == [])
    order = [
        (write.method, write.resource) for write in world.api.writes if write.resource != "events"
    ]
    assert order[-2:] == [("PATCH", "streamsessions/status"), ("DELETE", "pods")]


@with_operator
async def test_agent_that_does_not_finish_draining_is_given_up(world: World) -> None:
    world.drain_finishes = False
    await world.apply(idleTimeoutSeconds=30)
    await world.reach("Ready")
    world.clock.advance(31)
    await world.hint()
    await eventually(lambda: world.agent().drains)
    world.clock.advance(6)
    status = await world.reach("Failed")
    assert status["reason"] == "IdleTimeout"
    await eventually(lambda: world.pods() == [])


@with_operator
async def test_raised_limit_takes_effect_and_the_token_with_it(world: World) -> None:
    await world.apply(activeDeadlineSeconds=100)
    await world.reach("Ready")
    token = world.api.all("secrets")[0]["data"]["token"]

    def raise_limit(body: Body) -> None:
        body["spec"]["activeDeadlineSeconds"] = 1000
        body["metadata"]["generation"] = 2

    await world.api.edit(names.SESSION_PLURAL, NAMESPACE, "ball", raise_limit)
    await eventually(lambda: world.status()["observedGeneration"] == 2)
    world.clock.advance(101)
    await world.look_again()
    assert world.phase() == "Ready"
    assert world.api.all("secrets")[0]["data"]["token"] != token


@with_operator
async def test_startup_timeout_names_the_cause(world: World) -> None:
    world.auto_boot = False
    await world.apply(startupTimeoutSeconds=60)
    pod = (await eventually(world.pods))[0]
    waiting = {"reason": "ErrImagePull", "message": "podstream/session:test: not found"}
    states = [{"name": "session", "state": {"waiting": waiting}}]
    world.clock.advance(5)
    await world.set_pod_status(pod, containerStatuses=states)
    await eventually(lambda: world.condition("Ready").get("reason") == "ImagePullBackOff")
    assert world.condition("Ready")["message"] == "podstream/session:test: not found"
    assert world.phase() == "Pending"
    waiting["reason"], waiting["message"] = "ImagePullBackOff", "Back-off pulling image"
    await world.set_pod_status(pod, containerStatuses=states)
    world.clock.advance(60)
    await world.hint()
    status = await world.reach("Failed")
    assert status["reason"] == "StartupTimeout"
    assert "not found" in status["message"]
    await eventually(lambda: world.pods() == [])
    assert len(world.api.writes_of("streamsessions/status")) == 2


@with_operator
async def test_refused_pod_is_visible_and_tried_again(world: World) -> None:
    world.api.fail("POST", "/pods$", status=403, message="exceeded quota: pods=0")
    await world.apply()
    await eventually(lambda: world.condition("Ready").get("reason") == "PodRejected")
    assert world.condition("Ready")["message"] == "exceeded quota: pods=0"
    world.clock.advance(6)
    await world.hint()
    await world.reach("Ready")


@with_operator
async def test_refused_spec_fails_the_session(world: World) -> None:
    world.reject_spec = "spec.circle: no such codec"
    await world.apply()
    status = await world.reach("Failed")
    assert (status["reason"], status["message"]) == ("SpecRejected", "spec.circle: no such codec")


EVERY_CALL = [
    pytest.param(method, path, id=name)
    for method, path, name in [
        ("POST", "/secrets$", "create-secret"),
        ("POST", "/pods$", "create-pod"),
        ("PATCH", "/status$", "write-status"),
        ("POST", "/events$", "post-event"),
        ("DELETE", "/streamsessions/ball$", "delete-session"),
    ]
]
EVERY_FAULT = [
    pytest.param(status, after, id=f"{status}{'-answer-lost' if after else ''}")
    for status, after in [(429, False), (500, False), (503, True)]
]


@pytest.mark.parametrize(("status", "after"), EVERY_FAULT)
@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
@with_operator
async def test_session_ends_right_whichever_call_fails(
    world: World, method: str, path: str, status: int, after: bool
) -> None:
    world.api.fail(method, path, status=status, times=2, after=after)
    await world.apply(ttlSecondsAfterFinished=60)
    await world.reach("Ready")
    world.agent().move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    world.agent().move(AgentPhase.COMPLETED)
    await world.hint()
    await world.reach("Completed")
    assert len(world.pods()) == 1
    world.clock.advance(61)
    await world.hint()
    await eventually(lambda: world.session() is None)


@pytest.mark.parametrize("gone", [False, True], ids=["dropped", "410"])
@with_operator
async def test_watch_that_ends_is_resumed(world: World, gone: bool) -> None:
    await world.apply()
    await world.reach("Ready")
    await world.api.drop_watches(gone=gone)
    await world.apply("second")
    await world.reach("Ready", "second")


async def test_restarted_operator_resumes_its_sessions(cluster: World) -> None:
    async with cluster.running_operator():
        await cluster.apply()
        ready = await cluster.reach("Ready")
    cluster.agent().move(AgentPhase.CONNECTED)
    async with cluster.running_operator():
        status = await cluster.reach("Connected")
    assert status["timeline"]["readyAt"] == ready["timeline"]["readyAt"]
    assert len(cluster.agent().assignments) == 1
    async with cluster.running_operator():
        cluster.agent().move(AgentPhase.COMPLETED)
        await cluster.hint()
        await cluster.reach("Completed")
    assert len(cluster.api.life_writes()) == 5


async def test_restarted_operator_finds_its_half_made_session(cluster: World) -> None:
    cluster.auto_boot = False
    async with cluster.running_operator():
        await cluster.apply()
        pod = (await eventually(cluster.pods))[0]
    await cluster.boot(pod)
    async with cluster.running_operator():
        await cluster.reach("Ready")
    assert len(cluster.api.writes_of("pods")) == 1
    assert len(cluster.api.writes_of("secrets")) == 1


async def test_pod_lost_while_the_operator_was_down(cluster: World) -> None:
    async with cluster.running_operator():
        await cluster.apply()
        await cluster.reach("Ready")
    await cluster.kill_pod(cluster.pods()[0])
    async with cluster.running_operator():
        status = await cluster.reach("Failed")
    assert status["reason"] == "PodLost"


async def test_session_deleted_while_the_operator_was_down(cluster: World) -> None:
    async with cluster.running_operator():
        await cluster.apply()
        await cluster.reach("Ready")
    await cluster.api.remove(names.SESSION_PLURAL, NAMESPACE, "ball")
    writes = len(cluster.api.writes)
    async with cluster.running_operator() as operator:
        assert operator.cache.session_keys() == []
    assert len(cluster.api.writes) == writes


async def test_orphans_are_collected(cluster: World) -> None:
    async with cluster.running_operator():
        await cluster.apply()
        await cluster.reach("Ready")
    await cluster.api.remove(names.SESSION_PLURAL, NAMESPACE, "ball", orphan=True)
    assert cluster.pods()
    async with cluster.running_operator():
        await eventually(lambda: cluster.pods() == [])
    assert cluster.api.all("secrets") == []


@with_operator
async def test_objects_that_vanish_behind_the_watch_are_noticed_by_the_resync(
    world: World,
) -> None:
    await world.apply()
    await world.reach("Ready")
    pod = world.pods()[0]["metadata"]["name"]
    await world.api.remove("pods", NAMESPACE, pod, quiet=True)
    await world.operator.resync.run_once()
    assert (await world.reach("Failed"))["reason"] == "PodLost"


@with_operator
async def test_deleted_secret_comes_back(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    await world.api.remove("secrets", NAMESPACE, "ball-access")
    world.clock.advance(61)
    await world.hint()
    await eventually(lambda: world.api.all("secrets"))


@with_operator
async def test_secret_of_an_earlier_session_is_replaced(world: World) -> None:
    labels = {
        names.LABEL_SESSION: "ball",
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
    }
    metadata = {"name": "ball-access", "namespace": NAMESPACE, "labels": labels}
    await world.api.create("secrets", {"metadata": metadata, "data": {}})
    session = await world.apply()
    await world.reach("Ready")
    owner = world.api.all("secrets")[0]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == session["metadata"]["uid"]


@with_operator
async def test_foreign_secret_is_not_touched(world: World) -> None:
    metadata = {"name": "ball-access", "namespace": NAMESPACE}
    await world.api.create("secrets", {"metadata": metadata, "data": {"mine": "eA=="}})
    await world.apply()
    await eventually(lambda: world.condition("Ready").get("reason") == "SecretConflict")
    assert world.api.all("secrets")[0]["data"] == {"mine": "eA=="}


@with_operator
async def test_status_edited_by_hand_is_repaired(world: World) -> None:
    await world.apply()
    good = await world.reach("Ready")

    def spoil(body: Body) -> None:
        body["status"]["phase"] = "Completed"
        body["status"]["conditions"][3]["status"] = "True"
        body["status"]["reason"] = "BecauseISaySo"
        del body["status"]["pod"]

    await world.api.edit(names.SESSION_PLURAL, NAMESPACE, "ball", spoil)
    await eventually(lambda: world.status() == good)
    assert world.pods()


@with_operator
async def test_failed_client_is_told(world: World) -> None:
    await world.apply(client={"builtIn": True})
    await eventually(lambda: world.pods("client"))
    await world.end_pod(world.pods("client")[0], exit_code=3)
    await eventually(lambda: world.condition("Connected").get("reason") == "ClientFailed")
    assert "exit code 3" in world.condition("Connected")["message"]
    assert len(world.pods("client")) == 1


async def test_missing_crd_is_a_clear_end() -> None:
    async with running_world() as world:
        world.api.serves_sessions = False
        with pytest.raises(ConfigError, match="apply the CRDs first"):
            async with world.running_operator():
                pass


async def test_forbidden_list_is_a_clear_end(cluster: World) -> None:
    cluster.api.fail("GET", "/pods$", status=403, message="cannot list pods")
    with pytest.raises(ConfigError, match="Role does not fit"):
        async with cluster.running_operator():
            pass


@with_operator
async def test_health_metrics_and_hints_are_served(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    assert await world.fetch("/healthz") == (200, "ok\n")
    assert await world.fetch("/readyz") == (200, "ok\n")
    assert await world.hint("nobody") == 404
    assert await world.hint("not/a/name") == 400
    _, text = await world.fetch("/metrics")
    assert 'podstream_operator_sessions{phase="Ready"} 1.0' in text
    assert 'podstream_operator_reconcile_total{result="ok"}' in text
    assert 'podstream_operator_time_to_ready_seconds_count{origin="Cold"} 1.0' in text


@with_operator
async def test_many_sessions_at_once_are_all_completed(world: World) -> None:
    count = 15
    bodies = [session_body(f"ball-{number}") for number in range(count)]
    await asyncio.gather(*(world.api.create(names.SESSION_PLURAL, body) for body in bodies))
    await eventually(lambda: len(world.agents) == count)
    for number in range(count):
        await world.reach("Ready", f"ball-{number}")
    for agent in world.agents.values():
        agent.move(AgentPhase.COMPLETED)
    for number in range(count):
        await world.hint(f"ball-{number}")
    for number in range(count):
        await world.reach("Completed", f"ball-{number}")
    assert len(world.api.life_writes()) == 4 * count
