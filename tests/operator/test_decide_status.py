"""What `decide()` writes while a session lives: conditions, times, live results."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fakes.deciding import (
    CONNECTED,
    FIGURES,
    READY,
    SILENCE,
    ready_session,
    run,
    status_of,
)
from fakes.values import (
    POD_UID,
    START,
    at,
    knows_pod,
    make_memory,
    make_pod,
    make_session,
    make_state,
    running_pod,
)
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_core.api import (
    CircleResults,
    ConditionType,
    Phase,
    PodStatus,
    Results,
    StreamSession,
    Timeline,
)
from podstream_operator.decide import (
    CreateClient,
)
from podstream_operator.facts import (
    PodFacts,
)

# Ready, connected


def test_ready_is_written_with_everything_a_user_needs() -> None:
    status = ready_session().status
    assert status.phase is Phase.READY
    assert [item.type for item in status.conditions] == list(ConditionType)
    assert status.pod == PodStatus(name=running_pod().name, uid=POD_UID, node="n1")
    assert status.access is not None
    assert status.access.secret_name == "ball-access"
    assert status.endpoints[0].url == "http://127.0.0.1:8080/s/media/ball/whep"
    assert status.timeline.applied_at == at(0.25)
    assert status.timeline.pod_ready_at == at(0.5)
    assert status.timeline.ready_at == at(2)
    assert status.results is None


@pytest.mark.parametrize("phase", [AgentPhase.READY, AgentPhase.CONNECTED])
def test_same_picture_gives_the_same_status(phase: AgentPhase) -> None:
    session = ready_session(phase=phase)
    plan = run(
        session,
        pods=(running_pod(),),
        agent=make_state(phase),
        memory=knows_pod(status=session.status),
        now=at(40),
    )
    assert status_of(plan) == session.status


def test_transition_times_move_only_with_the_status() -> None:
    session = ready_session()
    plan = run(session, pods=(running_pod(),), agent=CONNECTED, memory=knows_pod(), now=at(30.5))
    times = {item.type: item.last_transition_time for item in status_of(plan).conditions}
    assert times[ConditionType.READY] == at(2)
    assert times[ConditionType.CONNECTED] == at(30)
    assert status_of(plan).phase is Phase.CONNECTED


def test_silent_agent_stands_where_it_stood() -> None:
    session = ready_session(phase=AgentPhase.CONNECTED)
    plan = run(session, pods=(running_pod(),), agent=SILENCE, memory=knows_pod(), now=at(30))
    assert status_of(plan) == session.status


def test_client_that_left_is_said_to_have_left() -> None:
    session = ready_session(phase=AgentPhase.CONNECTED)
    timeline = msgspec.structs.replace(session.status.timeline, connected_at=at(3))
    session = make_session(status=msgspec.structs.replace(session.status, timeline=timeline))
    plan = run(session, pods=(running_pod(),), agent=READY, memory=knows_pod(), now=at(30))
    condition = status_of(plan).condition(ConditionType.CONNECTED)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "ClientLeft")


@pytest.mark.parametrize(
    ("session", "pods", "actions"),
    [
        pytest.param(
            ready_session(client={"builtIn": True}), (), (CreateClient(0),), id="once-ready"
        ),
        pytest.param(ready_session(), (), (), id="not-wanted"),
        pytest.param(
            make_session(client={"builtIn": True}), (), (), id="not-before-ready-is-on-record"
        ),
        pytest.param(
            ready_session(client={"builtIn": True}),
            (make_pod(role=names.ROLE_CLIENT),),
            (),
            id="exists",
        ),
        pytest.param(
            ready_session(client={"builtIn": True}),
            (make_pod(role=names.ROLE_CLIENT, gone=True),),
            (),
            id="was-deleted",
        ),
    ],
)
def test_built_in_client(
    session: StreamSession, pods: tuple[PodFacts, ...], actions: tuple[Any, ...]
) -> None:
    plan = run(session, pods=(running_pod(), *pods), agent=READY, memory=knows_pod(), now=at(3))
    assert plan.actions == actions


# Live results

LATER_FIGURES = Results(observed_at=at(20), circle=CircleResults(frames_scored=2))


@pytest.mark.parametrize(
    ("interval_s", "now_s", "expected"),
    [
        pytest.param(15, 20, 1, id="too-early"),
        pytest.param(15, 25, 2, id="due"),
        pytest.param(0, 1000, 1, id="switched-off"),
    ],
)
def test_live_results(interval_s: int, now_s: float, expected: int) -> None:
    session = ready_session(phase=AgentPhase.CONNECTED, resultsIntervalSeconds=interval_s)
    status = msgspec.structs.replace(session.status, results=FIGURES)
    plan = run(
        make_session(status=status, resultsIntervalSeconds=interval_s),
        pods=(running_pod(),),
        agent=make_state(AgentPhase.CONNECTED, results=LATER_FIGURES),
        memory=knows_pod(),
        now=at(now_s),
    )
    results = status_of(plan).results
    assert results is not None
    assert results.circle is not None
    assert results.circle.frames_scored == expected
    assert results.final is False


def test_figures_that_did_not_change_are_not_written_again() -> None:
    session = ready_session(phase=AgentPhase.CONNECTED)
    status = msgspec.structs.replace(session.status, results=FIGURES)
    same = msgspec.structs.replace(FIGURES, observed_at=at(500))
    plan = run(
        make_session(status=status),
        pods=(running_pod(),),
        agent=make_state(AgentPhase.CONNECTED, results=same),
        memory=knows_pod(),
        now=at(500),
    )
    assert status_of(plan).results == FIGURES


@pytest.mark.parametrize(
    ("now_s", "is_written"),
    [pytest.param(4, False, id="short-session"), pytest.param(18, True, id="interval-is-over")],
)
def test_first_live_figures_and_the_first_frame_wait_for_the_interval(
    now_s: float, is_written: bool
) -> None:
    """A session of a few seconds must not cost a write between Connected and Completed."""
    session = ready_session(phase=AgentPhase.CONNECTED)
    state = make_state(AgentPhase.CONNECTED, results=FIGURES)
    timeline = msgspec.structs.replace(state.timeline, first_frame_at=at(3))
    plan = run(
        session,
        pods=(running_pod(),),
        agent=msgspec.structs.replace(state, timeline=timeline),
        memory=knows_pod(),
        now=at(now_s),
    )
    status = status_of(plan)
    assert (status.results is not None) is is_written
    assert (status.timeline.first_frame_at is not None) is is_written
    assert (status == session.status) is not is_written


def test_applied_at_is_the_creation_where_the_operator_came_later() -> None:
    late = make_memory(first_seen_at=START + timedelta(hours=1), uid=POD_UID, assigned=True)
    plan = run(make_session(), pods=(running_pod(),), agent=READY, memory=late, now=at(3))
    assert status_of(plan).timeline.applied_at == START


def test_client_that_comes_and_goes_makes_a_write_a_second_at_most() -> None:
    came = Timeline(assigned_at=at(1), ready_at=at(2), connected_at=at(2))
    ready = ready_session()
    plan = run(
        ready,
        pods=(running_pod(),),
        agent=make_state(AgentPhase.CONNECTED, timeline=came),
        memory=knows_pod(),
        now=at(2),
    )
    session = make_session(status=status_of(plan))
    kept = knows_pod(status=session.status, secret_checked_at=at(10))
    soon = run(session, pods=(running_pod(),), agent=READY, memory=kept, now=at(2.4))
    assert soon.status == session.status
    assert soon.requeue_after_s == pytest.approx(0.6)
    later = run(session, pods=(running_pod(),), agent=READY, memory=kept, now=at(3))
    assert status_of(later).phase is Phase.READY
    set_back = run(session, pods=(running_pod(),), agent=READY, memory=kept, now=at(-0.5))
    assert status_of(set_back).phase is Phase.READY


def test_first_client_is_written_at_once() -> None:
    session = ready_session()
    plan = run(session, pods=(running_pod(),), agent=CONNECTED, memory=knows_pod(), now=at(2.1))
    assert status_of(plan).phase is Phase.CONNECTED
