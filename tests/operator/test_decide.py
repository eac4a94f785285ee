"""`decide()` as tables: what is known, and what follows."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from fakes.values import (
    POD_UID,
    SITE,
    START,
    UID,
    at,
    knows_pod,
    make_memory,
    make_pod,
    make_session,
    make_state,
    running_pod,
)
from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState, Failure
from podstream_core.api import (
    CircleResults,
    ConditionType,
    Phase,
    PodStatus,
    Results,
    SessionStatus,
    StreamSession,
)
from podstream_core.termination import encode_termination
from podstream_operator.decide import (
    ContactAgent,
    CreateClient,
    CreatePod,
    DeletePod,
    DeleteSession,
    DrainAgent,
    EnsureSecret,
    Plan,
    decide,
)
from podstream_operator.facts import (
    AgentRefusal,
    AgentReply,
    AgentUnreachable,
    Memory,
    Observed,
    PodFacts,
    Rejection,
    SecretFacts,
    Terminated,
    Waiting,
)

READY = make_state(AgentPhase.READY)
CONNECTED = make_state(AgentPhase.CONNECTED)
SILENCE = AgentUnreachable("timed out")


def run(
    session: StreamSession,
    *,
    pods: tuple[PodFacts, ...] = (),
    agent: AgentReply | None = None,
    memory: Memory | None = None,
    now: datetime = START,
) -> Plan:
    asked = [pod.uid for pod in pods if pod.role == names.ROLE_SESSION and not pod.gone]
    observed = Observed(
        pods=pods,
        memory=memory or make_memory(),
        agent=agent,
        agent_pod_uid=asked[-1] if agent and asked else None,
    )
    return decide(session, observed=observed, site=SITE, now=now)


def status_of(plan: Plan) -> SessionStatus:
    assert plan.actions == ()
    assert plan.status is not None
    return plan.status


def ready_session(*, phase: AgentPhase = AgentPhase.READY, **spec: Any) -> StreamSession:
    """A session whose status says that it is Ready (or Connected)."""
    plan = run(
        make_session(**spec),
        pods=(running_pod(),),
        agent=make_state(phase),
        memory=knows_pod(),
        now=at(2),
    )
    return make_session(status=status_of(plan), **spec)


def ended_session(reason: str | None, **spec: Any) -> StreamSession:
    """A session that has ended 100 s after its start: completed, or failed with a reason."""
    state = make_state(AgentPhase.COMPLETED)
    if reason is not None:
        state = make_state(AgentPhase.FAILED, failure=Failure(reason=reason, message="m"))
    plan = run(
        make_session(**spec),
        pods=(running_pod(),),
        agent=state,
        memory=knows_pod(),
        now=at(100),
    )
    return make_session(status=status_of(plan), **spec)


def ended(exit_code: int, *, state: AgentState | None = None, reason: str = "Error") -> Terminated:
    message = encode_termination(state).decode() if state else ""
    return Terminated(reason, exit_code, message)


# From nothing to an assigned pod

FRESH_SECRET = EnsureSecret(check_first=False, expires_at=at(0.25 + 3600 + 60))
LATER_SECRET = replace(FRESH_SECRET, check_first=True)
NEW = make_memory(secret=None, secret_checked_at=None)


@pytest.mark.parametrize(
    ("session", "pods", "memory", "actions"),
    [
        pytest.param(make_session(), (), NEW, (FRESH_SECRET, CreatePod(0)), id="new"),
        pytest.param(
            make_session(access={"mode": "Public"}), (), NEW, (CreatePod(0),), id="public"
        ),
        pytest.param(make_session(), (), make_memory(), (CreatePod(0),), id="has-secret"),
        pytest.param(
            make_session(),
            (make_pod(),),
            NEW,
            (LATER_SECRET,),
            id="pod-from-before-a-restart",
        ),
        pytest.param(
            make_session(),
            (running_pod(),),
            NEW,
            (LATER_SECRET, ContactAgent(running_pod(), assign=True)),
            id="address-from-before-a-restart",
        ),
        pytest.param(
            make_session(),
            (make_pod(ip="10.0.0.7"),),
            make_memory(),
            (ContactAgent(make_pod(ip="10.0.0.7"), assign=True),),
            id="address-before-readiness",
        ),
        pytest.param(
            make_session(),
            (running_pod(),),
            knows_pod(),
            (ContactAgent(running_pod(), assign=False),),
            id="assigned",
        ),
        pytest.param(
            make_session(),
            (running_pod(),),
            knows_pod(pod_uid="another"),
            (ContactAgent(running_pod(), assign=True),),
            id="memory-of-another-pod",
        ),
        pytest.param(
            make_session(),
            (),
            make_memory(pod_rejection=Rejection("PodRejected", "quota", at(-10))),
            (CreatePod(0),),
            id="refused-a-while-ago",
        ),
    ],
)
def test_first_steps(
    session: StreamSession, pods: tuple[PodFacts, ...], memory: Memory, actions: tuple[Any, ...]
) -> None:
    assert run(session, pods=pods, memory=memory) == Plan(actions=actions)


def test_nothing_is_done_for_a_session_that_is_being_deleted() -> None:
    session = make_session()
    metadata = msgspec.structs.replace(session.metadata, deletion_timestamp=START)
    assert run(msgspec.structs.replace(session, metadata=metadata), memory=NEW) == Plan()


def test_pod_of_another_session_of_the_same_name_is_ignored() -> None:
    """The caller filters by owner; a foreign name does not count either."""
    foreign = make_pod(name="ball-00000000")
    assert run(make_session(), pods=(foreign,)).actions == (CreatePod(0),)


@pytest.mark.parametrize(
    ("agent", "dials", "requeue_s"),
    [
        pytest.param(SILENCE, 1, 0.05, id="first-calls"),
        pytest.param(SILENCE, 50, 0.1, id="after-two-seconds"),
        pytest.param(SILENCE, 90, 0.25, id="after-six"),
        pytest.param(SILENCE, 500, 1.0, id="after-a-minute"),
        pytest.param(make_state(AgentPhase.STARTING), 1, 0.05, id="assigned-not-ready"),
        pytest.param(
            AgentState(pod_uid=POD_UID, phase=AgentPhase.IDLE), 1, 0.05, id="not-ours-yet"
        ),
    ],
)
def test_starting_session_is_looked_at_again_and_nothing_written(
    agent: AgentReply, dials: int, requeue_s: float
) -> None:
    plan = run(make_session(), pods=(running_pod(),), agent=agent, memory=knows_pod(dials=dials))
    assert plan == Plan(requeue_after_s=requeue_s)


# What keeps it from starting


@pytest.mark.parametrize(
    ("pod", "agent", "age_s", "reason"),
    [
        pytest.param(make_pod(unschedulable="no cpu"), None, 3, None, id="unschedulable-briefly"),
        pytest.param(
            make_pod(unschedulable="no cpu"), None, 5, "Unschedulable", id="unschedulable"
        ),
        pytest.param(
            make_pod(waiting=Waiting("ErrImagePull", "x")), None, 5, "ImagePullBackOff", id="pull"
        ),
        pytest.param(
            make_pod(waiting=Waiting("ImagePullBackOff", "x")),
            None,
            5,
            "ImagePullBackOff",
            id="pull-back-off",
        ),
        pytest.param(
            make_pod(waiting=Waiting("ContainerCreating", "")), None, 50, None, id="creating"
        ),
        pytest.param(
            make_pod(waiting=Waiting("CreateContainerConfigError", "no user")),
            None,
            5,
            "CreateContainerConfigError",
            id="config",
        ),
        pytest.param(running_pod(), SILENCE, 5, None, id="silent-briefly"),
        pytest.param(running_pod(), SILENCE, 7, "AgentUnreachable", id="silent"),
        pytest.param(
            running_pod(), AgentRefusal(401, "InvalidToken", "kid"), 0, "AgentRefused", id="refused"
        ),
    ],
)
def test_trouble_shows_in_the_ready_condition(
    pod: PodFacts, agent: AgentReply | None, age_s: float, reason: str | None
) -> None:
    plan = run(make_session(), pods=(pod,), agent=agent, now=at(age_s))
    if reason is None:
        assert plan.status is None
        return
    condition = status_of(plan).condition(ConditionType.READY)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", reason)
    assert len(status_of(plan).conditions) == 4
    assert plan.requeue_after_s is not None


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(
            make_memory(pod_rejection=Rejection("PodRejected", "exceeded quota", START)), id="pod"
        ),
        pytest.param(
            make_memory(secret_rejection=Rejection("SecretConflict", "exceeded quota", START)),
            id="secret",
        ),
    ],
)
def test_refusal_shows_at_once(memory: Memory) -> None:
    pods = () if memory.pod_rejection else (running_pod(),)
    agent = READY if pods else None
    plan = run(make_session(), pods=pods, memory=memory, agent=agent, now=at(1))
    condition = status_of(plan).condition(ConditionType.READY)
    assert condition is not None
    assert condition.message == "exceeded quota"


def test_wording_of_the_same_trouble_does_not_flap() -> None:
    first = run(
        make_session(), pods=(make_pod(waiting=Waiting("ErrImagePull", "not found")),), now=at(5)
    )
    session = make_session(status=status_of(first))
    other = make_pod(waiting=Waiting("ImagePullBackOff", "Back-off pulling image"))
    assert status_of(run(session, pods=(other,), now=at(9))) == session.status


def test_trouble_that_is_over_is_taken_back() -> None:
    first = run(make_session(), pods=(make_pod(unschedulable="no cpu"),), now=at(5))
    session = make_session(status=status_of(first))
    again = status_of(run(session, pods=(make_pod(node="n1"),), now=at(9)))
    condition = again.condition(ConditionType.READY)
    assert condition is not None
    assert condition.reason == "Starting"


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

FIGURES = Results(observed_at=at(10), circle=CircleResults(frames_scored=1))
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
DONE = make_state(AgentPhase.COMPLETED, results=Results(final=True))
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
        memory=knows_pod(pod_uid=None, assigned=False),
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
    draining = replace(memory, drain_started_at=now)
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


# The Secret


@pytest.mark.parametrize(
    ("memory", "checks"),
    [
        pytest.param(make_memory(), False, id="in-order"),
        pytest.param(make_memory(secret_checked_at=at(-60)), True, id="look-once-a-minute"),
        pytest.param(
            make_memory(secret=SecretFacts("ball-access", "s", UID, True, at(10))),
            True,
            id="token-too-short",
        ),
        pytest.param(
            make_memory(secret=SecretFacts("ball-access", "s", UID, True, None)),
            True,
            id="token-unreadable",
        ),
    ],
)
def test_secret_is_looked_after(memory: Memory, checks: bool) -> None:
    plan = run(make_session(), pods=(make_pod(),), memory=memory)
    assert [type(action) for action in plan.actions] == ([EnsureSecret] if checks else [])


def test_applied_at_is_the_creation_where_the_operator_came_later() -> None:
    late = make_memory(first_seen_at=START + timedelta(hours=1), pod_uid=POD_UID, assigned=True)
    plan = run(make_session(), pods=(running_pod(),), agent=READY, memory=late, now=at(3))
    assert status_of(plan).timeline.applied_at == START


def test_a_drained_agent_that_has_gone_silent_gets_its_grace() -> None:
    """It exits after its last words, which the kubelet brings a moment later."""
    session = ready_session(phase=AgentPhase.CONNECTED)
    now = at(3601)
    draining = knows_pod(drain_started_at=at(3600), secret_checked_at=now)
    waiting = run(session, pods=(running_pod(),), agent=SILENCE, memory=draining, now=now)
    assert waiting.actions == ()
    assert waiting.status is None or waiting.status.phase is not Phase.FAILED
    assert waiting.requeue_after_s is not None
