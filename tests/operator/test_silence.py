"""Pods that go without a word: deleted while no watch looked, or behind a lost node."""

from datetime import UTC, datetime, timedelta

import pytest

from fakes.world import NAMESPACE, SITE, World, eventually, pool_body, with_operator
from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import PoolKey, StreamPool
from podstream_core.termination import encode_termination
from podstream_operator.cluster import Cache
from podstream_operator.decide.pool import decide_pool
from podstream_operator.facts import PodFacts, PoolMemory, PoolObserved, Use
from podstream_operator.facts.pod import Terminated
from podstream_operator.missing import is_worth_reading
from podstream_operator.pools.classify import LAST_WORDS_KEPT, SILENCE_PATIENCE_S, pods_of_pool
from podstream_operator.pools.view import WarmView
from podstream_operator.status.pool import pool_status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = PoolKey(NAMESPACE, "media")


# The whole operator


@with_operator
async def test_pod_deleted_while_the_watch_was_broken_is_lost_at_once(world: World) -> None:
    """kopf lists anew when its watch has expired, and tells nothing of what is not listed."""
    await world.apply()
    await world.reach("Ready")
    await world.api.remove("pods", NAMESPACE, world.pods()[0]["metadata"]["name"], quiet=True)
    await world.api.drop_watches(gone=True)
    assert (await world.reach("Failed"))["reason"] == "PodLost"


@with_operator
async def test_pod_that_fell_silent_is_read_and_found_lost(world: World) -> None:
    """No watch, no list: only the agent's silence tells."""
    await world.apply()
    await world.reach("Ready")
    await world.kill_pod(world.pods()[0], quiet=True)
    await world.hint()
    assert (await world.reach("Failed"))["reason"] == "PodLost"


@with_operator
async def test_agent_that_only_pauses_loses_nothing(world: World) -> None:
    await world.apply()
    await world.reach("Ready")
    pod = world.pods()[0]
    address = world.hide(pod)
    reads = f"GET /api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}"
    await world.hint()
    await eventually(lambda: reads in world.api.requests)
    assert world.phase() == "Ready"
    world.show(pod, address)
    world.agent().move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")


@with_operator
async def test_session_passes_over_an_idle_pod_that_does_not_answer(world: World) -> None:
    await world.apply_pool(warm=2)
    await eventually(lambda: world.pool_status().get("warm") == 2)
    silent, answering = sorted(world.pods(), key=lambda pod: str(pod["metadata"]["name"]))
    world.hide(silent)
    await world.apply(poolRef={"name": "media"}, access={"mode": "Public"})
    status = await world.reach("Ready")
    assert status["pod"]["uid"] == answering["metadata"]["uid"]
    assert status["pod"]["origin"] == "Warm"


# Single decisions


class View:
    """A pool of idle pods, and a clock."""

    def __init__(self, count: int, *, ready: bool = True, limit: int = 10) -> None:
        self.now_s = 0.0
        self.warm = WarmView(clock=lambda: self.now_s)
        self.cache = Cache()
        body = pool_body(warm=count, max=limit)
        body["metadata"] |= {"uid": "pool-uid", "creationTimestamp": "2026-11-21T11:00:00Z"}
        self.pool = StreamPool.from_body(body)
        self.cache.put_pool(body)
        self.pods = [self._pod(number, ready=ready) for number in range(count)]
        for pod in self.pods:
            self.cache.put_pod(pod)
            self.warm.answered(pod, AgentState(pod_uid=pod.uid, phase=AgentPhase.IDLE))

    def _pod(self, number: int, *, ready: bool) -> PodFacts:
        return PodFacts(
            namespace=NAMESPACE,
            name=f"media-{number}",
            uid=f"uid-{number}",
            session="",
            role=names.ROLE_SESSION,
            pool="media",
            owner_uid="pool-uid",
            phase="Running",
            ready=ready,
            ip="10.0.0.1",
            created_at=NOW - timedelta(hours=1),
        )

    def silence(self, pod: PodFacts, *, for_s: float) -> None:
        self.warm.unanswered(pod)
        self.now_s += for_s
        self.warm.unanswered(pod)

    def observed(self, *, now: datetime = NOW) -> PoolObserved:
        return PoolObserved(
            pods=pods_of_pool(KEY, shape="", cache=self.cache, warm=self.warm, now=now),
            waiting=0,
            shape="",
            history=[],
            refused_listeners=[],
            memory=PoolMemory(),
        )

    def uses(self, *, now: datetime = NOW) -> list[Use]:
        return [pooled.use for pooled in self.observed(now=now).pods]

    def missing(self) -> int:
        return decide_pool(self.pool, observed=self.observed(), max_starting=10, now=NOW).create


def test_short_silence_replaces_nothing() -> None:
    view = View(2)
    view.silence(view.pods[0], for_s=SILENCE_PATIENCE_S - 1)
    assert view.uses() == [Use.IDLE, Use.IDLE]
    assert view.missing() == 0


@pytest.mark.parametrize(("limit", "missing"), [(10, 2), (3, 1), (2, 0)])
def test_long_silence_is_filled_up_as_far_as_max_allows(limit: int, missing: int) -> None:
    """Whether a silent pod serves somebody by now, nobody knows: it keeps its place."""
    view = View(2, limit=limit)
    for pod in view.pods:
        view.silence(pod, for_s=SILENCE_PATIENCE_S + 1)
    assert view.uses() == [Use.SILENT, Use.SILENT]
    assert view.missing() == missing


def test_silent_pods_are_told_by_the_pool_and_not_deleted() -> None:
    view = View(1, limit=1)
    view.silence(view.pods[0], for_s=SILENCE_PATIENCE_S + 1)
    observed = view.observed()
    plan = decide_pool(view.pool, observed=observed, max_starting=10, now=NOW)
    assert (plan.retire, plan.discard) == ((), ())
    status = pool_status(
        view.pool, previous=view.pool.status, observed=observed, trouble=None, site=SITE, now=NOW
    )
    ready = status.conditions[0]
    assert (ready.status, ready.reason) == ("False", "PodsSilent")
    assert status.warm == 0


def test_pod_that_answers_again_is_idle_again() -> None:
    view = View(1)
    (pod,) = view.pods
    view.silence(pod, for_s=SILENCE_PATIENCE_S + 1)
    view.warm.answered(pod, AgentState(pod_uid=pod.uid, phase=AgentPhase.IDLE))
    assert view.uses() == [Use.IDLE]
    assert view.warm.silent_s(pod) is None


@pytest.mark.parametrize(("ready", "discarded"), [(True, 0), (False, 1)])
def test_old_pod_that_never_answered_goes_unless_its_probe_has_found_it_up(
    ready: bool, discarded: int
) -> None:
    """An operator that has just started, and cannot reach a pod, knows nothing of its past."""
    view = View(1, ready=ready)
    view.warm = WarmView(clock=lambda: view.now_s)
    assert view.uses() == [Use.STARTING]
    view.now_s += view.pool.spec.template.spec.startup_timeout_seconds + 1
    plan = decide_pool(view.pool, observed=view.observed(), max_starting=10, now=NOW)
    assert len(plan.discard) == discarded


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        pytest.param("from-a-router", [Use.LEAVING, Use.FINISHED], id="assigned"),
        pytest.param(None, [Use.FINISHED, Use.FINISHED], id="retired"),
    ],
)
def test_record_of_an_ended_pod_tells_whether_a_session_may_still_come(
    assignment: str | None, expected: list[Use]
) -> None:
    """The operator that reads it has begun after the pod's end: it never asked the agent."""
    view = View(1)
    view.warm = WarmView()
    (pod,) = view.pods
    state = AgentState(pod_uid=pod.uid, phase=AgentPhase.DRAINING, assignment_id=assignment)
    record = Terminated("Completed", 0, encode_termination(state).decode())
    body = {name: getattr(pod, name) for name in PodFacts.__dataclass_fields__}
    view.cache.put_pod(PodFacts(**{**body, "phase": "Succeeded", "terminated": record}))
    assert [
        *view.uses(now=NOW),
        *view.uses(now=NOW + LAST_WORDS_KEPT + timedelta(seconds=1)),
    ] == expected


def test_pods_are_read_ever_more_seldom() -> None:
    assert [count for count in range(40) if is_worth_reading(count)] == [1, 2, 4, 8, 16, 32]
