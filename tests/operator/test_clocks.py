"""Clocks that jump by an hour: the operator's, a router's, an agent's."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fakes.agent import FakeAgent, running_agent
from fakes.kube_api import Body
from fakes.world import NAMESPACE, World, eventually, session_body, with_operator
from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import Condition, ConditionType, SessionStatus, StreamSession, Timeline
from podstream_core.tokens import PublicKeys, SigningKey
from podstream_operator.agents import HttpAgentClient
from podstream_operator.facts import AgentRefusal, Memory, PodFacts
from podstream_operator.status import applied_at
from podstream_operator.status.timeline import ended_at

HOUR_S = 3600.0
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG: Body = {"activeDeadlineSeconds": 86400, "idleTimeoutSeconds": 86400}
JUMPS = [pytest.param(HOUR_S, id="forward"), pytest.param(-HOUR_S, id="back")]


@pytest.mark.parametrize("jump_s", JUMPS)
@with_operator
async def test_sessions_go_on_when_the_operators_clock_jumps(world: World, jump_s: float) -> None:
    await world.apply("playing", **LONG)
    await world.reach("Ready", "playing")
    playing = world.agent()
    playing.move(AgentPhase.CONNECTED)
    await world.hint("playing")
    await world.reach("Connected", "playing")
    await world.apply("waiting", **LONG)
    await world.reach("Ready", "waiting")
    world.clock.advance(jump_s)
    for name in ("playing", "waiting"):
        await world.hint(name)
    await world.apply("after", **LONG)
    await world.reach("Ready", "after")
    assert [world.phase(name) for name in ("playing", "waiting")] == ["Connected", "Ready"]
    playing.move(AgentPhase.COMPLETED)
    await world.hint("playing")
    await world.reach("Completed", "playing")
    assert all(agent.drains == [] for agent in world.agents.values())


@with_operator
async def test_limits_count_an_hour_that_the_clock_has_jumped(world: World) -> None:
    """What a limit says is all that a jump can do: it is read from the wall clock."""
    await world.apply(idleTimeoutSeconds=1800)
    await world.reach("Ready")
    world.clock.advance(HOUR_S)
    await world.hint()
    assert (await world.reach("Failed"))["reason"] == "IdleTimeout"


@pytest.mark.parametrize("jump_s", JUMPS)
@with_operator
async def test_pool_keeps_its_pods_when_the_operators_clock_jumps(
    world: World, jump_s: float
) -> None:
    await world.apply_pool(warm=2, max=5)
    await eventually(lambda: world.pool_status().get("warm") == 2)
    world.auto_boot = False
    await scale(world, 3)
    await eventually(lambda: len(world.pods()) == 3)
    before = {pod["metadata"]["uid"] for pod in world.pods()}
    world.clock.advance(jump_s)
    await touch(world)
    await eventually(lambda: world.pool_status().get("starting") == 1)
    await world.operator.resync.run_once()
    await world.fetch("/healthz")
    assert {pod["metadata"]["uid"] for pod in world.pods()} == before
    assert not [write for write in world.api.writes_of("pods") if write.method == "DELETE"]


async def scale(world: World, warm: int) -> None:
    def change(body: Body) -> None:
        body["spec"]["warm"] = warm

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", change)


async def touch(world: World) -> None:
    def change(body: Body) -> None:
        body["metadata"]["annotations"] = {"touched": str(world.clock.now())}

    await world.api.edit(names.POOL_PLURAL, NAMESPACE, "media", change)


async def test_agents_are_reached_again_as_soon_as_a_clock_is_right_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token of a wrong hour was kept for that hour: every call was refused until then."""
    key = SigningKey.generate()
    agent = FakeAgent("uid", keys=PublicKeys.of(key))
    async with running_agent(agent) as url:
        client = HttpAgentClient((key,), observer=ignore, resolve=lambda _: url)
        pod = PodFacts(
            namespace=NAMESPACE, name="pod", uid="uid", session="", role="session", owner_uid=None
        )
        with monkeypatch.context() as patch:
            real = time.time
            patch.setattr(time, "time", lambda: real() + HOUR_S)
            refused = await client.state(pod)
        answered = await client.state(pod)
        await client.close()
    assert isinstance(refused, AgentRefusal)
    assert refused.error == "InvalidToken"
    assert isinstance(answered, AgentState)


def ignore(*, call: str, result: str) -> None:
    del call, result


@pytest.mark.parametrize(
    ("offset_s", "believed"),
    [
        pytest.param(-5, True, id="moments-ago"),
        pytest.param(10, True, id="a-little-ahead"),
        pytest.param(-1800, True, id="while-the-operator-was-down"),
        pytest.param(HOUR_S, False, id="an-hour-ahead"),
        pytest.param(-2 * HOUR_S, False, id="before-it-was-connected"),
    ],
)
def test_end_of_a_session_is_the_agents_where_its_clock_can_be_right(
    offset_s: float, believed: bool
) -> None:
    told = NOW + timedelta(seconds=offset_s)
    connected = Condition(
        type=ConditionType.CONNECTED,
        status="True",
        reason="ClientConnected",
        last_transition_time=NOW - timedelta(seconds=HOUR_S),
    )
    previous = SessionStatus(conditions=[connected], timeline=Timeline())
    assert ended_at(told, previous=previous, now=NOW) == (told if believed else NOW)


def test_end_without_a_word_of_the_agent_is_now() -> None:
    assert ended_at(None, previous=SessionStatus(), now=NOW) == NOW


@with_operator
async def test_results_outlive_a_node_whose_clock_was_set_back(world: World) -> None:
    """The time to live began an hour ago, and ended the session's record at once."""
    await world.apply(ttlSecondsAfterFinished=600)
    await world.reach("Ready")
    agent = world.agent()
    agent.move(AgentPhase.CONNECTED)
    await world.hint()
    await world.reach("Connected")
    agent.set_clock(lambda: world.clock.now() - timedelta(hours=1))
    agent.move(AgentPhase.COMPLETED)
    await world.hint()
    status = await world.reach("Completed")
    ended = datetime.fromisoformat(status["timeline"]["completedAt"])
    assert abs((ended - world.clock.now()).total_seconds()) < 10
    await world.hint()
    await world.fetch("/healthz")
    assert world.session() is not None


@pytest.mark.parametrize(
    ("arrived_s", "believed"),
    [
        pytest.param(-100, True, id="the-api-was-away"),
        pytest.param(-HOUR_S, False, id="an-hour-back"),
        pytest.param(HOUR_S, False, id="an-hour-ahead"),
    ],
)
def test_arrival_of_a_connection_is_the_routers_where_its_clock_can_be_right(
    arrived_s: float, believed: bool
) -> None:
    """The session's deadline counts from it."""
    arrived = NOW + timedelta(seconds=arrived_s)
    body: dict[str, Any] = session_body()
    body["metadata"] |= {
        "uid": "uid",
        "creationTimestamp": NOW.isoformat(),
        "annotations": {
            names.ANNOTATION_ASSIGNMENT: "id/pod/uid",
            names.ANNOTATION_ARRIVED_AT: arrived.isoformat(),
        },
    }
    session = StreamSession.from_body(body)
    found = applied_at(session, status=SessionStatus(), memory=Memory(first_seen_at=NOW))
    assert found == (arrived if believed else NOW)
