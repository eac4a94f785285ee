"""When `decide()` ends or removes a session because of the time."""

from dataclasses import replace

import pytest

from fakes.deciding import (
    CONNECTED,
    DONE,
    READY,
    SILENCE,
    ended_session,
    ready_session,
    run,
    status_of,
)
from fakes.values import (
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
    Phase,
    SessionStatus,
    StreamSession,
)
from podstream_operator.decide import (
    DeletePod,
    DeleteSession,
    DrainAgent,
    Plan,
)
from podstream_operator.facts import (
    AgentReply,
    PodFacts,
)

# Clocks


@pytest.mark.parametrize(
    ("session", "agent", "now_s", "reason"),
    [
        pytest.param(make_session(), SILENCE, 59, None, id="starting"),
        pytest.param(make_session(), SILENCE, 61, "StartupTimeout", id="startup"),
        pytest.param(
            make_session(startupTimeoutSeconds=600), SILENCE, 61, None, id="startup-raised"
        ),
        pytest.param(ready_session(), READY, 301, None, id="idle-starts-at-ready"),
        pytest.param(ready_session(), READY, 303, "IdleTimeout", id="idle"),
        pytest.param(ready_session(), SILENCE, 303, "IdleTimeout", id="idle-and-silent"),
        pytest.param(
            ready_session(phase=AgentPhase.CONNECTED), CONNECTED, 3000, None, id="connected"
        ),
        pytest.param(
            ready_session(phase=AgentPhase.CONNECTED),
            CONNECTED,
            3601,
            "DeadlineExceeded",
            id="deadline",
        ),
        pytest.param(
            ready_session(phase=AgentPhase.CONNECTED), READY, 3000, None, id="client-just-left"
        ),
        pytest.param(
            make_session(activeDeadlineSeconds=10), SILENCE, 11, "DeadlineExceeded", id="short"
        ),
    ],
)
def test_clocks(
    session: StreamSession, agent: AgentReply, now_s: float, reason: str | None
) -> None:
    plan = run(
        session,
        pods=(running_pod(),),
        agent=agent,
        memory=knows_pod(drain_started_at=at(now_s - 10), secret_checked_at=at(now_s)),
        now=at(now_s),
    )
    assert plan.actions == ()
    assert (plan.status.reason if plan.status else None) == reason


def test_expired_session_is_drained_before_it_fails() -> None:
    session = ready_session()
    now = at(303)
    memory = knows_pod(secret_checked_at=now)
    plan = run(session, pods=(running_pod(),), agent=READY, memory=memory, now=now)
    assert [type(action) for action in plan.actions] == [DrainAgent]
    draining = replace(memory, pod=replace(memory.pod, drain_started_at=now))
    state = make_state(AgentPhase.DRAINING)
    plan = run(session, pods=(running_pod(),), agent=state, memory=draining, now=now)
    assert plan == Plan(requeue_after_s=0.1)


def test_work_that_was_done_when_the_clock_ran_out_counts() -> None:
    now = at(303)
    memory = knows_pod(drain_started_at=now, secret_checked_at=now)
    plan = run(ready_session(), pods=(running_pod(),), agent=DONE, memory=memory, now=now)
    assert status_of(plan).phase is Phase.COMPLETED


def test_requeue_is_the_next_clock() -> None:
    memory = knows_pod(secret_checked_at=at(100))
    plan = run(ready_session(), pods=(running_pod(),), agent=READY, memory=memory, now=at(100))
    assert plan.requeue_after_s == pytest.approx(300 + 2 - 100)


# After the end


@pytest.mark.parametrize(
    ("reason", "pod", "now_s", "deleted"),
    [
        pytest.param(None, running_pod(), 110, False, id="completed-pod-lingers"),
        pytest.param(None, running_pod(), 100 + 300 + 61, True, id="lingers-too-long"),
        pytest.param(
            None,
            running_pod(phase="Succeeded"),
            100 + 3000,
            False,
            id="finished-pod-keeps-its-logs",
        ),
        pytest.param("WorkloadCrashed", running_pod(), 110, False, id="crashed-pod-ends-itself"),
        pytest.param("IdleTimeout", running_pod(), 101, True, id="stopped-by-the-operator"),
        pytest.param(
            "IdleTimeout", running_pod(deletion_at=at(111)), 101, False, id="deletion-is-under-way"
        ),
        pytest.param(
            None, make_pod(role=names.ROLE_CLIENT, phase="Running"), 110, False, id="client"
        ),
        pytest.param(
            None, make_pod(role=names.ROLE_CLIENT, phase="Running"), 131, True, id="client-hangs"
        ),
    ],
)
def test_pods_of_an_ended_session(
    reason: str | None, pod: PodFacts, now_s: float, deleted: bool
) -> None:
    session = ended_session(reason)
    plan = run(session, pods=(pod,), now=at(now_s))
    if deleted:
        assert plan.actions == (DeletePod(pod),)
    else:
        assert status_of(plan) == session.status
        assert plan.requeue_after_s is not None


@pytest.mark.parametrize("reason", [None, "WorkloadCrashed"], ids=["completed", "failed"])
def test_session_goes_after_its_time_to_live(reason: str | None) -> None:
    session = ended_session(reason, ttlSecondsAfterFinished=60)
    assert run(session, now=at(159)).actions == ()
    assert run(session, now=at(160)) == Plan(actions=(DeleteSession(),))


def test_end_that_was_edited_away_is_repaired_from_memory() -> None:
    true_status = ended_session(None).status
    spoiled = make_session(status=SessionStatus(phase=Phase.READY))
    assert run(spoiled, memory=make_memory(status=true_status), now=at(200)).status == true_status


def test_a_drained_agent_that_has_gone_silent_gets_its_grace() -> None:
    """It exits after its last words, which the kubelet brings a moment later."""
    session = ready_session(phase=AgentPhase.CONNECTED)
    now = at(3601)
    draining = knows_pod(drain_started_at=at(3600), secret_checked_at=now)
    waiting = run(session, pods=(running_pod(),), agent=SILENCE, memory=draining, now=now)
    assert waiting.actions == ()
    assert waiting.status is None or waiting.status.phase is not Phase.FAILED
    assert waiting.requeue_after_s is not None
