"""Small parts: settings, keys, cache, watchdog, poll schedule, merge patch, agent client."""

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from fakes.agent import FakeAgent, running_agent
from fakes.kube_api import running_kube_api
from fakes.values import POD_UID, START, UID, make_pod, make_session, running_pod
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import PoolKey, SessionKey
from podstream_core.tokens import CLIENT_AUDIENCE, PublicKeys, SigningKey, TokenType
from podstream_operator.agents import HttpAgentClient, pod_address
from podstream_operator.cluster import Cache, Touched
from podstream_operator.cluster.cache import Uids
from podstream_operator.errors import ConfigError
from podstream_operator.facts import AgentRefusal, AgentUnreachable, PodFacts, SecretFacts
from podstream_operator.keys import load_keys
from podstream_operator.poller import PollSchedule, tick_s
from podstream_operator.resources import build_access_secret
from podstream_operator.settings import OperatorSettings
from podstream_operator.status import merge_patch
from podstream_operator.watchdog import STALLED_AFTER_S, WatchDog

KEY = SessionKey("media", "ball")

# Settings


def test_defaults_follow_the_namespace() -> None:
    settings = OperatorSettings.from_env(
        {"PODSTREAM_SESSION_IMAGE": "s:1", "POD_NAMESPACE": "streams"}, own_namespace="x"
    )
    assert settings.namespaces == ("streams",)
    assert settings.site.cluster_url == "http://podstream-router.streams.svc:8080"
    assert settings.site.external_url == "http://127.0.0.1:8080"
    assert settings.http_port == 8081


def test_settings_are_read() -> None:
    settings = OperatorSettings.from_env(
        {
            "PODSTREAM_SESSION_IMAGE": "s:1",
            "PODSTREAM_WATCH_NAMESPACES": "a, b,a",
            "PODSTREAM_SESSION_RESOURCES": '{"limits": {"cpu": 1}}',
            "PODSTREAM_EXTERNAL_URL": "https://play.example.com/",
            "PODSTREAM_KEYS_DIR": "/keys",
        },
        own_namespace="own",
    )
    assert settings.namespaces == ("a", "b")
    assert (settings.session_requests, settings.session_limits) == ({}, {"cpu": "1"})
    assert settings.site.external_url == "https://play.example.com"
    assert settings.keys_dir == Path("/keys")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PODSTREAM_SESSION_IMAGE", ""),
        ("PODSTREAM_HTTP_PORT", "x"),
        ("PODSTREAM_HTTP_PORT", "70000"),
        ("PODSTREAM_EXTERNAL_URL", "play.example.com"),
        ("PODSTREAM_LOG_FORMAT", "xml"),
        ("PODSTREAM_SESSION_IMAGE_PULL_POLICY", "Sometimes"),
        ("PODSTREAM_SESSION_RESOURCES", "{"),
        ("PODSTREAM_SESSION_RESOURCES", '{"limits": {"cpu": "lots"}}'),
        ("PODSTREAM_SESSION_RESOURCES", '{"limits": 3}'),
    ],
)
def test_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        OperatorSettings.from_env(
            {"PODSTREAM_SESSION_IMAGE": "s:1", name: value}, own_namespace="x"
        )


def write_key(path: Path) -> str:
    key = SigningKey.generate()
    path.write_bytes(
        key.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key.kid


def test_keys_are_loaded_with_the_previous_one(tmp_path: Path) -> None:
    kids = [
        write_key(tmp_path / f"{name}.pem")
        for name in ("assignment", "assignment-previous", "client")
    ]
    keys = load_keys(tmp_path)
    assert [key.kid for key in (*keys.assignment, keys.client)] == kids
    assert {key["kid"] for key in json.loads(keys.public_jwks)["keys"]} == set(kids[:2])


def test_missing_or_broken_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"assignment\.pem"):
        load_keys(tmp_path)
    (tmp_path / "assignment.pem").write_text("no key")
    with pytest.raises(ConfigError, match="no usable signing key"):
        load_keys(tmp_path)


# Cache


def body(version: int, *, uid: str = UID) -> dict[str, Any]:
    metadata = {"name": "ball", "namespace": "media", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"circle": {"frames": version}}}


def frames(cache: Cache) -> int:
    known = cache.session(KEY)
    assert known is not None
    assert known.session.spec.circle is not None
    return known.session.spec.circle.frames


def test_older_event_does_not_undo_a_newer_answer() -> None:
    cache = Cache()
    cache.put_session(body(10), now=START)
    cache.put_session(body(9), now=START)
    assert frames(cache) == 10


def test_session_made_anew_is_another_one() -> None:
    cache = Cache()
    cache.put_session(body(10), now=START)
    cache.put_session(body(11, uid="new"), now=START)
    cache.drop_session(KEY, uid=UID)
    assert frames(cache) == 11


def test_late_event_does_not_bring_a_deleted_session_back() -> None:
    """The operator deleted such a session once more: a write for nothing, answered by 404."""
    cache = Cache()
    cache.put_session(body(10), now=START)
    cache.bury_session(KEY, uid=UID)
    assert cache.put_session(body(11), now=START) is None
    assert len(cache) == 0
    cache.put_session(body(12, uid="new"), now=START)
    assert frames(cache) == 12


def test_session_that_a_list_missed_may_come_back() -> None:
    cache = Cache()
    cache.put_session(body(10), now=START)
    cache.drop_session(KEY, uid=UID)
    cache.put_session(body(10), now=START)
    assert frames(cache) == 10


def test_what_was_listed_or_written_here_is_no_news() -> None:
    """A restart with thousands of sessions looked at each of them twice."""
    cache = Cache()
    assert cache.put_session(body(10), now=START) == KEY
    assert cache.put_session(body(10), now=START) is None
    assert cache.put_session(body(11), now=START) == KEY
    pod = dataclasses.replace(make_pod(), pool="media")
    assert cache.put_pod(pod).session == KEY
    assert cache.put_pod(pod) == Touched(pool=PoolKey("media", "media"))
    assert cache.put_pod(dataclasses.replace(pod, resource_version="99")).session == KEY


def test_unreadable_session_is_left_out() -> None:
    cache = Cache()
    broken = body(1)
    broken["spec"]["circle"]["frames"] = "many"
    assert cache.put_session(broken, now=START) is None
    assert len(cache) == 0


def test_deleted_pod_is_remembered_while_its_session_lives() -> None:
    cache = Cache()
    cache.put_session(body(10), now=START)
    session = make_session()
    cache.put_pod(make_pod())
    cache.drop_pod(make_pod())
    assert [pod.gone for pod in cache.pods_of(session)] == [True]
    cache.put_pod(make_pod())  # a late answer
    assert [pod.gone for pod in cache.pods_of(session)] == [True]
    cache.drop_session(KEY, uid=UID)
    assert cache.pods_of(session) == ()


def test_pod_of_an_unknown_session_leaves_nothing() -> None:
    cache = Cache()
    cache.drop_pod(make_pod())
    assert cache.pods_of(make_session()) == ()


def test_forgotten_objects_are_named() -> None:
    cache = Cache()
    cache.put_session(body(10), now=START)
    cache.put_pod(make_pod())
    assert cache.uids("media") == Uids(sessions={UID}, pods={POD_UID}, pools=set())
    assert cache.forget("elsewhere", session_uids={UID}, pod_uids={POD_UID}) == []
    touched = [Touched(session=KEY)]
    assert cache.forget("media", session_uids=set(), pod_uids={POD_UID}) == touched
    assert cache.forget("media", session_uids={UID}, pod_uids=set()) == touched
    assert cache.uids("media") == Uids(sessions=set(), pods=set(), pools=set())


# Watchdog and poller


def watched(version: int) -> dict[str, Any]:
    return {"metadata": {"namespace": "media", "resourceVersion": str(version)}}


def test_quiet_watch_is_healthy() -> None:
    dog = WatchDog()
    dog.watched("pod", body=watched(5))
    dog.listed("pod", namespace="media", versions=["5"], now=0)
    assert dog.behind_s(now=10_000) == 0


def test_watch_that_misses_what_a_list_shows_is_stalled_after_a_while() -> None:
    dog = WatchDog()
    dog.listed("pod", namespace="media", versions=["6"], now=0)
    assert not dog.is_stalled(now=STALLED_AFTER_S)
    assert dog.is_stalled(now=STALLED_AFTER_S + 1)
    dog.listed("pod", namespace="media", versions=["7"], now=100)
    assert dog.is_stalled(now=STALLED_AFTER_S + 1)
    dog.watched("pod", body=watched(7))
    assert not dog.is_stalled(now=1000)


def test_object_that_is_gone_from_the_lists_is_not_waited_for() -> None:
    """A pod that was deleted while its watch was interrupted made a healthy operator restart."""
    dog = WatchDog()
    dog.listed("pod", namespace="media", versions=["6"], now=0)
    dog.listed("pod", namespace="media", versions=["5"], now=60)
    dog.watched("pod", body=watched(5))
    assert dog.behind_s(now=1000) == 0


@pytest.mark.parametrize(
    ("sessions", "seconds"), [(0, 0.25), (100, 0.25), (2500, 1.0), (5000, 2.0), (50_000, 2.0)]
)
def test_many_sessions_are_gone_through_less_often(sessions: int, seconds: float) -> None:
    assert tick_s(sessions) == seconds


def test_live_sessions_are_polled_at_a_bounded_rate() -> None:
    schedule = PollSchedule()
    live = [(SessionKey("media", f"s{number}"), 0) for number in range(500)]
    assert schedule.due(live, now=0) == []
    assert schedule.due(live, now=9.9) == []
    assert len(schedule.due(live, now=10)) == 500
    assert schedule.due(live, now=19.9) == []


def test_silent_agents_are_polled_less_often() -> None:
    schedule = PollSchedule()
    schedule.due([(KEY, 0)], now=0)
    assert schedule.due([(KEY, 3)], now=2) == [KEY]
    assert schedule.due([(KEY, 3)], now=17.9) == []
    assert schedule.due([(KEY, 3)], now=18) == [KEY]
    assert schedule.due([], now=100) == []


@pytest.mark.parametrize(
    ("current", "desired", "patch"),
    [
        pytest.param({"a": 1}, {"a": 1}, {}, id="equal"),
        pytest.param({}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="new"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}, id="less"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, {"a": [1]}, id="list-as-a-whole"),
        pytest.param({"x": 1}, {}, {"x": None}, id="foreign"),
        pytest.param({"a": 1.0}, {"a": 1}, {}, id="number-forms"),
    ],
)
def test_merge_patch(current: Any, desired: Any, patch: Any) -> None:
    assert merge_patch(current, desired) == patch


# Facts


def test_token_end_is_read_from_the_secret() -> None:
    token = SigningKey.generate().sign(
        TokenType.CLIENT, audience=CLIENT_AUDIENCE, subject=UID, lifetime_s=60, now=1000
    )
    body = build_access_secret(make_session(), token=token)
    facts = SecretFacts.from_body(body)
    assert facts.expires_at == datetime.fromtimestamp(1060, UTC)
    assert (facts.owner_uid, facts.managed) == (UID, True)


@pytest.mark.parametrize("data", [{}, {"token": "x"}, {"token": "eA=="}, {"token": "YS5iLmM="}])
def test_unreadable_token_has_no_end(data: dict[str, str]) -> None:
    facts = SecretFacts.from_body({"metadata": {"name": "n"}, "data": data})
    assert facts.expires_at is None


def test_pod_body_is_read() -> None:
    pod = PodFacts.from_body(
        {
            "metadata": {
                "name": "p",
                "namespace": "media",
                "uid": "u",
                "labels": {"podstream.dev/session": "ball", "podstream.dev/role": "session"},
                "deletionTimestamp": "2026-11-21T10:00:10Z",
            },
            "spec": {"nodeName": "n1"},
            "status": {
                "phase": "Failed",
                "reason": "Evicted",
                "podIP": "fd00::1",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "no cpu",
                    }
                ],
                "containerStatuses": [
                    {
                        "name": "session",
                        "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                    }
                ],
            },
        }
    )
    assert (pod.phase, pod.reason, pod.node, pod.unschedulable) == (
        "Failed",
        "Evicted",
        "n1",
        "no cpu",
    )
    assert pod.terminated is not None
    assert (pod.terminated.reason, pod.terminated.exit_code) == ("OOMKilled", 137)
    assert pod.is_finished
    assert not pod.exists
    assert pod_address(pod) == "http://[fd00::1]:9440"


# Agent client


@asynccontextmanager
async def client_for(
    agent: FakeAgent, *keys: SigningKey
) -> AsyncIterator[tuple[HttpAgentClient, list[str]]]:
    results: list[str] = []

    def observe(*, call: str, result: str) -> None:
        results.append(f"{call} {result}")

    async with running_agent(agent) as url:
        client = HttpAgentClient(keys, observer=observe, resolve=lambda _pod: url)
        try:
            yield client, results
        finally:
            await client.close()


async def test_assignment_carries_the_spec_and_is_answered_again() -> None:
    key = SigningKey.generate()
    agent = FakeAgent(POD_UID, keys=PublicKeys.of(key))
    session = make_session()
    async with client_for(agent, key) as (client, results):
        first = await client.assign(running_pod(), session=session)
        again = await client.assign(running_pod(), session=session)
        assert first == again
        assert isinstance(first, AgentState)
        assert first.phase is AgentPhase.READY
        assert agent.assignments[0].spec == session.spec
        await client.drain(running_pod(), reason="IdleTimeout", message="m")
    assert agent.drains == [{"reason": "IdleTimeout", "message": "m"}]
    assert results == ["assign ok", "assign ok", "drain ok", "state ok"]


async def test_pod_from_before_a_key_rotation_is_reached_with_the_previous_key() -> None:
    current, previous = SigningKey.generate(), SigningKey.generate()
    agent = FakeAgent(POD_UID, keys=PublicKeys.of(previous))
    async with client_for(agent, current, previous) as (client, _):
        reply = await client.assign(running_pod(), session=make_session())
        assert isinstance(reply, AgentState)
    async with client_for(agent, current) as (client, _):
        refused = await client.state(running_pod())
        assert isinstance(refused, AgentRefusal)
        assert refused.error == "InvalidToken"


async def test_answer_of_another_pod_at_the_address_is_no_answer() -> None:
    key = SigningKey.generate()
    agent = FakeAgent(POD_UID, keys=PublicKeys.of(key))
    agent.state = AgentState(pod_uid=POD_UID, phase=AgentPhase.IDLE)
    async with client_for(agent, key) as (client, _):
        await client.assign(running_pod(), session=make_session())
    liar = AgentState(pod_uid="another", phase=AgentPhase.READY)

    async def lie(_request: web.Request) -> web.Response:
        return web.json_response(liar.to_body())

    agent.answer = lie
    async with client_for(agent, key) as (client, results):
        reply = await client.state(running_pod())
    assert reply == AgentUnreachable("another pod answers at 10.0.0.7")
    assert results == ["state unreachable"]


async def test_closed_port_is_unreachable() -> None:
    client = HttpAgentClient(
        (SigningKey.generate(),),
        observer=lambda **_: None,
        resolve=lambda _pod: "http://127.0.0.1:9",
    )
    reply = await client.state(running_pod())
    await client.close()
    assert isinstance(reply, AgentUnreachable)
    assert reply.cause == "Connection refused"


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"{}", "BadAnswer"), (b"no json", "BadAnswer"), (b"x" * (3 << 20), "unreachable")],
    ids=["empty", "no-json", "too-long"],
)
async def test_nonsense_from_a_pod_is_a_value(content: bytes, error: str) -> None:
    key = SigningKey.generate()
    agent = FakeAgent(POD_UID, keys=PublicKeys.of(key))

    async def babble(_request: web.Request) -> web.Response:
        return web.Response(body=content)

    agent.answer = babble
    async with client_for(agent, key) as (client, results):
        reply = await client.state(running_pod())
    assert not isinstance(reply, AgentState)
    assert results == [f"state {error}"]


async def test_fake_api_answers_without_an_operator() -> None:
    """Guards the fake itself: an unknown path is a 404, not a pass."""
    async with running_kube_api() as api:
        assert api.all("pods") == []
        assert api.get("pods", "media", "x") is None
