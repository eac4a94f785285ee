"""When does the operator tell a pod of a changed spec, and when does status say that it follows?"""

from typing import Any

import msgspec
import pytest

from fakes.deciding import ready_session, run, status_of
from fakes.values import UID, at, knows_pod, make_session, make_state, running_pod
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import (
    LiveSpec,
    LiveStream,
    RecordingResults,
    Results,
    StreamResults,
    StreamSession,
    StreamState,
)
from podstream_operator.decide import UpdateSpec
from podstream_operator.facts import AgentUnreachable

RUNNING = LiveSpec(stream=LiveStream())
STOPPED = LiveSpec(stream=LiveStream(state=StreamState.STOPPED))
RECORDING = LiveSpec(stream=LiveStream(recording=True))


def session(**stream: Any) -> StreamSession:
    before = ready_session(circle=None, stream={})
    changed = make_session(circle=None, stream=stream, status=before.status)
    metadata = msgspec.structs.replace(changed.metadata, generation=2)
    return msgspec.structs.replace(changed, metadata=metadata)


def state(live: LiveSpec | None, phase: AgentPhase = AgentPhase.READY) -> AgentState:
    return make_state(phase, live=live)


@pytest.mark.parametrize(
    ("stream", "live", "phase", "wanted"),
    [
        pytest.param({}, RUNNING, AgentPhase.READY, None, id="in-step"),
        pytest.param({"state": "Stopped"}, RUNNING, AgentPhase.READY, STOPPED, id="waiting"),
        pytest.param({"state": "Stopped"}, RUNNING, AgentPhase.CONNECTED, STOPPED, id="connected"),
        pytest.param({}, STOPPED, AgentPhase.CONNECTED, RUNNING, id="started-again"),
        pytest.param({"recording": {}}, RUNNING, AgentPhase.CONNECTED, RECORDING, id="record"),
        pytest.param(
            {"recording": {"enabled": False}}, RECORDING, AgentPhase.CONNECTED, RUNNING, id="end"
        ),
        pytest.param({"state": "Stopped"}, RUNNING, AgentPhase.STARTING, None, id="starting"),
        pytest.param({"state": "Stopped"}, RUNNING, AgentPhase.DRAINING, None, id="draining"),
        pytest.param({"state": "Stopped"}, RUNNING, AgentPhase.COMPLETED, None, id="over"),
        pytest.param({"state": "Stopped"}, None, AgentPhase.READY, None, id="earlier-release"),
    ],
)
def test_pod_is_told_what_it_does_not_follow(
    stream: dict[str, Any], live: LiveSpec | None, phase: AgentPhase, wanted: LiveSpec | None
) -> None:
    plan = run(
        session(**stream),
        pods=(running_pod(),),
        agent=state(live, phase),
        memory=knows_pod(),
        now=at(3),
    )
    updates = [action for action in plan.actions if isinstance(action, UpdateSpec)]
    expected = UpdateSpec(running_pod(), assignment_id=UID, generation=2, live=wanted or RUNNING)
    assert updates == ([] if wanted is None else [expected])


def test_pod_that_is_being_deleted_is_left_alone() -> None:
    plan = run(
        session(state="Stopped"),
        pods=(running_pod(deletion_at=at(30)),),
        agent=state(RUNNING),
        memory=knows_pod(),
        now=at(3),
    )
    assert plan.actions == ()


def test_status_says_the_generation_that_the_pod_follows() -> None:
    changed = session(state="Stopped")
    silent = run(
        changed,
        pods=(running_pod(),),
        agent=AgentUnreachable("timed out"),
        memory=knows_pod(last_state=state(RUNNING)),
        now=at(3),
    )
    assert status_of(silent).observed_generation == 1
    told = run(
        changed,
        pods=(running_pod(),),
        agent=state(STOPPED),
        memory=knows_pod(last_state=state(STOPPED)),
        now=at(3),
    )
    assert status_of(told).observed_generation == 2
    assert {item.observed_generation for item in status_of(told).conditions} == {2}


def test_what_a_change_has_done_is_written_at_once_also_without_a_client() -> None:
    figures = Results(
        observed_at=at(3), stream=StreamResults(state=StreamState.STOPPED, frames_received=7)
    )
    told = msgspec.structs.replace(state(STOPPED), results=figures)
    plan = run(
        session(state="Stopped"),
        pods=(running_pod(),),
        agent=told,
        memory=knows_pod(last_state=told),
        now=at(3),
    )
    results = status_of(plan).results
    assert results is not None
    assert results.stream == figures.stream


def test_recording_figures_fit_the_api() -> None:
    made = StreamResults(recording=RecordingResults(active=True))
    assert StreamResults.from_body(made.to_body()) == made


@pytest.mark.parametrize(("source", "now_s", "shown"), [("Synthetic", 20, 7), ("Push", 20, None)])
def test_work_without_a_client_shows_its_figures(
    source: str, now_s: float, shown: int | None
) -> None:
    """A session that waits for its client has none worth a write."""
    stream = {"source": {"type": source}}
    figures = Results(observed_at=at(now_s), stream=StreamResults(frames_received=7))
    told = make_state(AgentPhase.READY, live=RUNNING, results=figures)
    plan = run(
        ready_session(circle=None, stream=stream),
        pods=(running_pod(),),
        agent=told,
        memory=knows_pod(last_state=told),
        now=at(now_s),
    )
    results = status_of(plan).results
    found = results.stream.frames_received if results and results.stream else None
    assert found == shown
