"""What `decide()` does until a pod works for the session, and what it says keeps one from it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from fakes.deciding import (
    READY,
    SILENCE,
    ready_session,
    run,
    status_of,
)
from fakes.values import (
    POD_UID,
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
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import (
    AccessStatus,
    ConditionType,
    SessionStatus,
    StreamSession,
)
from podstream_operator.decide import (
    ContactAgent,
    CreatePod,
    DeletePod,
    EnsureSecret,
    Plan,
)
from podstream_operator.facts import (
    AgentRefusal,
    AgentReply,
    Memory,
    PodFacts,
    Rejection,
    SecretFacts,
    Waiting,
)

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
            knows_pod(uid="another"),
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


def test_a_started_operator_looks_for_a_known_secret_within_the_interval() -> None:
    session = make_session(status=SessionStatus(access=AccessStatus(secret_name="ball-access")))
    looks = [
        [type(action) for action in run(session, pods=(make_pod(),), memory=NEW, now=at(s)).actions]
        for s in range(61)
    ]
    assert looks[60] == [EnsureSecret]
    assert sorted(looks, key=len) == looks, "once it is due it stays so"
    assert looks[0] == [], "this session's share of the minute is more than nothing"


def test_of_two_pods_that_were_taken_everybody_keeps_the_same() -> None:
    """As when two operators both believed to lead for a moment, and each wrote its own pod down."""
    mine = running_pod(uid=POD_UID, name="media-1", restart=0)
    other = running_pod(uid=POD_UID[:-1] + "2", name="media-2", restart=0)
    for session in (make_session(), ready_session()):
        for pods in ((mine, other), (other, mine)):
            plan = run(session, pods=pods, agent=READY, memory=knows_pod(secret_checked_at=at(2)))
            assert DeletePod(other) in plan.actions
            assert DeletePod(mine) not in plan.actions


def test_pod_of_a_former_try_is_not_surplus() -> None:
    gone = make_pod(name="media-1", restart=0, gone=True)
    pods = (running_pod(uid="90d00000-0000-4000-8000-000000000002", restart=0), gone)
    plan = run(make_session(), pods=pods, memory=make_memory())
    assert not [action for action in plan.actions if isinstance(action, DeletePod)]
