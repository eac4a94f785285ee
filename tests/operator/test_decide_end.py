"""What `decide()` makes of a pod that has ended: a terminal state, or a replacement."""

import msgspec
import pytest

from fakes.deciding import (
    DONE,
    FIGURES,
    READY,
    SILENCE,
    ended,
    ready_session,
    run,
    status_of,
)
from fakes.values import (
    POD_UID,
    SITE,
    at,
    knows_pod,
    make_pod,
    make_session,
    make_state,
    running_pod,
)
from podstream_core.agentapi import AgentPhase, Failure
from podstream_core.api import (
    Phase,
    PodStatus,
    Results,
    StreamSession,
)
from podstream_operator.decide import (
    ContactAgent,
    CreatePod,
    decide,
)
from podstream_operator.facts import (
    Observed,
    PodFacts,
)

# The end


def test_completed_keeps_final_results() -> None:
    state = make_state(AgentPhase.COMPLETED, results=Results(final=True, observed_at=at(9)))
    session = ready_session(phase=AgentPhase.CONNECTED)
    status = status_of(
        run(session, pods=(running_pod(),), agent=state, memory=knows_pod(), now=at(10))
    )
    assert status.phase is Phase.COMPLETED
    assert status.reason is None
    assert status.results == Results(final=True, observed_at=at(9))
    assert status.timeline.completed_at == at(10)
    assert status.endpoints
    expected = {"Ready": "False", "PodReady": "False", "Connected": "False", "Completed": "True"}
    assert {item.type.value: item.status for item in status.conditions} == expected


CRASH = make_state(
    AgentPhase.FAILED, failure=Failure(reason="WorkloadCrashed", message="circle: SIGSEGV")
)
STOPPED = make_state(AgentPhase.FAILED, failure=Failure(reason="Terminated", message="SIGTERM"))


@pytest.mark.parametrize(
    ("pod", "phase", "reason"),
    [
        pytest.param(None, Phase.FAILED, "PodLost", id="unseen"),
        pytest.param(running_pod(gone=True), Phase.FAILED, "PodLost", id="deleted"),
        pytest.param(
            running_pod(phase="Failed", terminated=ended(137, reason="OOMKilled")),
            Phase.FAILED,
            "OOMKilled",
            id="out-of-memory",
        ),
        pytest.param(
            running_pod(phase="Failed", terminated=ended(1)),
            Phase.FAILED,
            "PodLost",
            id="agent-died",
        ),
        pytest.param(
            running_pod(phase="Failed", reason="Evicted", message="disk"),
            Phase.FAILED,
            "PodLost",
            id="evicted",
        ),
        pytest.param(
            running_pod(phase="Failed", terminated=ended(1, state=CRASH)),
            Phase.FAILED,
            "WorkloadCrashed",
            id="workload-crashed",
        ),
        pytest.param(
            running_pod(phase="Succeeded", terminated=ended(0, state=DONE)),
            Phase.COMPLETED,
            None,
            id="completed-between-two-looks",
        ),
        pytest.param(
            running_pod(gone=True, phase="Failed", terminated=ended(0, state=DONE)),
            Phase.COMPLETED,
            None,
            id="completed-and-deleted",
        ),
        pytest.param(
            running_pod(gone=True, terminated=ended(1, state=STOPPED)),
            Phase.FAILED,
            "PodLost",
            id="told-to-stop",
        ),
        pytest.param(
            running_pod(deletion_at=at(20)), Phase.FAILED, "PodLost", id="stuck-on-a-lost-node"
        ),
        pytest.param(
            running_pod(phase="Succeeded", terminated=ended(0)),
            Phase.FAILED,
            "PodLost",
            id="ended-without-a-word",
        ),
    ],
)
def test_end_of_the_pod(pod: PodFacts | None, phase: Phase, reason: str | None) -> None:
    plan = run(
        ready_session(),
        pods=() if pod is None else (pod,),
        memory=knows_pod(),
        now=at(30),
    )
    status = status_of(plan)
    assert (status.phase, status.reason) == (phase, reason)


def test_words_of_another_pod_are_not_believed() -> None:
    other = msgspec.structs.replace(DONE, pod_uid="another")
    pod = running_pod(phase="Succeeded", terminated=ended(0, state=other))
    assert status_of(run(ready_session(), pods=(pod,), now=at(9))).reason == "PodLost"


def test_last_live_figures_stay_and_are_not_final() -> None:
    last = make_state(AgentPhase.CONNECTED, results=FIGURES)
    plan = run(
        ready_session(phase=AgentPhase.CONNECTED),
        pods=(running_pod(gone=True),),
        memory=knows_pod(last_state=last),
        now=at(30),
    )
    assert status_of(plan).results == FIGURES


def test_pod_that_is_being_deleted_may_still_speak() -> None:
    pod = running_pod(deletion_at=at(20))
    plan = run(ready_session(), pods=(pod,), agent=STOPPED, memory=knows_pod(), now=at(15))
    assert plan.status is None
    assert plan.requeue_after_s == pytest.approx(20 - 15 + 3 + 0.1)


# Replacement


def replaced_session() -> StreamSession:
    session = ready_session(restartPolicy="OnPodLoss")
    plan = run(session, pods=(running_pod(gone=True),), memory=knows_pod(), now=at(30))
    return make_session(status=status_of(plan), restartPolicy="OnPodLoss")


def test_replacement_is_on_record_before_it_is_made() -> None:
    status = replaced_session().status
    assert status.pod == PodStatus(name=make_pod(restarts=1).name, restarts=1)
    assert status.phase is Phase.STARTING
    assert status.endpoints == []
    assert status.timeline.applied_at == at(0.25)
    assert status.timeline.ready_at is None


def test_replacement_is_made_once() -> None:
    session = replaced_session()
    gone = running_pod(gone=True)
    assert run(session, pods=(gone,), now=at(31)).actions == (CreatePod(1),)
    second = running_pod(restarts=1, gone=True)
    status = status_of(run(session, pods=(gone, second), now=at(40)))
    assert (status.phase, status.reason) == (Phase.FAILED, "PodLost")


def test_replacement_has_its_own_time_to_start() -> None:
    session = replaced_session()
    second = running_pod(restarts=1, created_at=at(31), started_at=at(31))
    early = run(session, pods=(second,), agent=SILENCE, now=at(80))
    assert early.status is not None
    assert early.status.reason is None
    late = run(session, pods=(second,), agent=SILENCE, now=at(92))
    assert status_of(late).reason == "StartupTimeout"


def test_answer_of_a_lost_pod_says_nothing_about_its_replacement() -> None:
    """A pod that was lost while it was asked left its replacement Ready before it had started."""
    session = replaced_session()
    second = running_pod(restarts=1)
    observed = Observed(
        pods=(running_pod(gone=True), second),
        memory=knows_pod(uid=None, assigned=False),
        agent=READY,
        agent_pod_uid=POD_UID,
    )
    plan = decide(session, observed=observed, site=SITE, now=at(31))
    assert plan.actions == (ContactAgent(second, assign=True),)


def test_crashed_workload_is_not_replaced() -> None:
    session = ready_session(restartPolicy="OnPodLoss")
    pod = running_pod(phase="Failed", terminated=ended(1, state=CRASH))
    assert status_of(run(session, pods=(pod,), now=at(9))).reason == "WorkloadCrashed"


def test_no_replacement_after_the_deadline() -> None:
    session = ready_session(restartPolicy="OnPodLoss")
    plan = run(session, pods=(running_pod(gone=True),), now=at(4000))
    assert status_of(plan).phase is Phase.FAILED
