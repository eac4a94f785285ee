"""The whole operator against a fake API server: a session's life from apply to its end."""

from datetime import datetime
from typing import Any

import pytest

from fakes.world import NAMESPACE, World, eventually, with_operator
from podstream_core.agentapi import AgentPhase
from podstream_core.api import (
    CircleResults,
    LiveSpec,
    LiveStream,
    RecordingResults,
    Results,
    StreamResults,
    StreamState,
)
from podstream_operator import handlers

RECORDING = LiveSpec(stream=LiveStream(recording=True))


def figures(**values: Any) -> Results:
    return Results(circle=CircleResults(**values))


@with_operator
async def test_whole_life_costs_seven_writes(world: World) -> None:
    await world.apply(client={"builtIn": True}, ttlSecondsAfterFinished=60)
    await world.reach("Ready")
    await eventually(lambda: world.pods("client"))
    world.agent().move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    world.agent().move(
        AgentPhase.COMPLETED, results=Results(final=True, circle=CircleResults(rmse_px=0.25))
    )
    await world.hint()
    status = await world.reach("Completed")
    assert status["results"]["final"] is True
    assert status["results"]["circle"]["rmsePx"] == 0.25
    await world.end_pod(world.pods()[0], exit_code=0)
    await world.end_pod(world.pods("client")[0], exit_code=0)
    world.clock.advance(61)
    await world.hint()
    await eventually(lambda: world.session() is None)
    assert sorted(world.api.life_writes()) == sorted(
        [
            ("POST", "secrets"),
            ("POST", "pods"),
            ("PATCH", "streamsessions/status"),
            ("POST", "pods"),
            ("PATCH", "streamsessions/status"),
            ("PATCH", "streamsessions/status"),
            ("DELETE", "streamsessions"),
        ]
    )
    assert world.api.all("pods") == []
    assert world.api.all("secrets") == []


@with_operator
async def test_ready_status_is_complete_from_its_first_write(world: World) -> None:
    session = await world.apply(listeners=["signalling"])
    status = await world.reach("Ready")
    pod = world.pods()[0]["metadata"]
    assert [item["type"] for item in status["conditions"]] == [
        "Ready",
        "PodReady",
        "Connected",
        "Completed",
    ]
    assert [item["status"] for item in status["conditions"]] == ["True", "True", "False", "False"]
    assert status["observedGeneration"] == session["metadata"]["generation"]
    assert status["pod"] == {
        "name": pod["name"],
        "uid": pod["uid"],
        "origin": "Cold",
        "restarts": 0,
    }
    assert status["access"] == {"secretName": "ball-access"}
    assert status["workloads"] == "circle"
    assert status["endpoints"] == [
        {
            "protocol": "WHEP",
            "url": "http://127.0.0.1:8080/s/media/ball/whep",
            "clusterUrl": "http://podstream-router.media.svc:8080/s/media/ball/whep",
        },
        {
            "protocol": "Signalling",
            "url": "tcp://127.0.0.1:50052",
            "clusterUrl": "tcp://podstream-router.media.svc:50052",
        },
    ]
    steps = ["appliedAt", "podReadyAt", "assignedAt", "readyAt"]
    times = [datetime.fromisoformat(status["timeline"][step]) for step in steps]
    assert times == sorted(times)
    assert sorted(status["timeline"]) == sorted(steps)
    assert [item.status for item in world.api.writes_of("streamsessions/status")] == [200]


@with_operator
async def test_events_tell_each_transition_once(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    world.agent().move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    world.agent().move(AgentPhase.COMPLETED)
    await world.hint()
    await world.reach("Completed")
    await eventually(lambda: len(world.api.all("events")) == 3)
    assert [event["reason"] for event in world.api.all("events")] == [
        "Ready",
        "Connected",
        "Completed",
    ]
    event = world.api.all("events")[0]
    assert event["regarding"]["name"] == "ball"
    assert event["reportingController"] == "podstream.dev/operator"


@with_operator
async def test_unchanged_session_costs_nothing(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    before = len(world.api.writes_of("streamsessions/status"))
    for _ in range(3):
        await world.look_again()
    assert len(world.api.writes_of("streamsessions/status")) == before
    assert len(world.api.writes_of("pods")) == 1


@with_operator
async def test_public_session_has_no_secret(world: World) -> None:
    await world.apply(access={"mode": "Public"})
    status = await world.reach("Ready")
    assert "access" not in status
    assert world.api.all("secrets") == []


@with_operator
async def test_live_results_are_written_once_per_interval(world: World) -> None:
    await world.apply(resultsIntervalSeconds=15)
    await world.reach("Ready")
    agent = world.agent()
    agent.measure(figures(frames_scored=1))
    agent.move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    assert world.status()["results"]["circle"]["framesScored"] == 1
    agent.measure(figures(frames_scored=2))
    await world.look_again()
    assert world.status()["results"]["circle"]["framesScored"] == 1
    world.clock.advance(16)
    await world.hint()
    await eventually(lambda: world.status()["results"]["circle"]["framesScored"] == 2)
    assert world.status()["results"]["final"] is False


@with_operator
async def test_poller_finds_a_connection_without_a_hint(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    world.agent().move(AgentPhase.CONNECTED)
    await world.reach("Connected")


@with_operator
async def test_deleted_session_takes_its_children_along(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    await world.api.remove("streamsessions", NAMESPACE, "ball")
    assert world.api.all("pods") == []
    assert await world.hint() in (202, 404)
    await eventually(lambda: world.operator.cache.session_keys() == [])
    assert len(world.api.writes_of("pods")) == 1


@with_operator
async def test_parallel_sessions_get_one_pod_each(world: World) -> None:
    for number in range(12):
        await world.apply(f"ball-{number}")
    for number in range(12):
        await world.reach("Ready", f"ball-{number}")
    owners = [pod["metadata"]["ownerReferences"][0]["name"] for pod in world.pods()]
    assert sorted(owners) == sorted(f"ball-{number}" for number in range(12))


@with_operator
async def test_ended_session_keeps_its_pod_until_it_lingers_too_long(world: World) -> None:
    await world.apply(lingerSeconds=10)
    await world.reach("Ready")
    world.agent().move(AgentPhase.COMPLETED)
    await world.hint()
    await world.reach("Completed")
    assert "deletionTimestamp" not in world.pods()[0]["metadata"]
    world.clock.advance(71)
    await world.hint()
    await eventually(lambda: world.pods() == [])
    assert world.phase() == "Completed"


@pytest.fixture
def _tasks_never_idle_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "EVENT_TASK_IDLE_S", 3600.0)


@pytest.mark.usefixtures("_tasks_never_idle_out")
@with_operator
async def test_burst_is_taken_as_it_comes(world: World) -> None:
    """kopf's tasks of the first hundred objects, idle for 5 s, held the others back."""
    world.auto_boot = False
    for number in range(105):
        await world.apply(f"ball-{number}", access={"mode": "Public"})
    await eventually(lambda: len(world.pods()) == 105, within_s=60)


@with_operator
async def test_change_of_the_spec_reaches_the_pod_and_is_told(world: World) -> None:
    await world.apply(circle=None, stream={"recording": {"enabled": False}})
    await world.reach("Ready")
    agent = world.agent()
    agent.measure(Results(stream=StreamResults(recording=RecordingResults())))
    agent.move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    agent.measure(Results(stream=StreamResults(recording=RecordingResults(active=True))))
    await world.change(lambda spec: spec["stream"]["recording"].update(enabled=True))
    await eventually(lambda: [item.live for item in agent.updates] == [RECORDING])
    await eventually(lambda: world.status()["observedGeneration"] == 2)
    assert world.status()["results"]["stream"]["recording"]["active"] is True
    await eventually(lambda: "RecordingStarted" in world.event_reasons())
    agent.measure(Results(stream=StreamResults(state=StreamState.STOPPED)))
    await world.change(lambda spec: spec["stream"].update(state="Stopped"))
    await eventually(lambda: "StreamStopped" in world.event_reasons())
    assert len(agent.updates) == 2


@with_operator
async def test_refused_change_is_tried_again(world: World) -> None:
    await world.apply(circle=None, stream={})
    await world.reach("Ready")
    agent = world.agent()
    agent.update_refusal = "NotReady"
    await world.change(lambda spec: spec["stream"].update(state="Stopped"))
    await eventually(lambda: "PUT /spec" in agent.calls)
    assert world.status()["observedGeneration"] == 1
    agent.update_refusal = ""
    await eventually(lambda: world.status()["observedGeneration"] == 2)
