"""Lists of more objects than one answer holds."""

import pytest
from kubernetes.aio.client import Configuration

from fakes.kube_api import running_kube_api
from fakes.values import START
from fakes.world import NAMESPACE, session_body
from podstream_core import names
from podstream_core.api import SessionKey
from podstream_operator.clock import SystemClock
from podstream_operator.cluster import Cache, Touched
from podstream_operator.cluster.aio_client import LIST_PART, AioKubeClient
from podstream_operator.errors import ApiUnavailable
from podstream_operator.resync import Resync
from podstream_operator.watchdog import WatchDog

SESSIONS = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.SESSION_PLURAL}"


def ignore(*, verb: str, resource: str, code: str) -> None:
    del verb, resource, code


async def test_list_goes_on_until_everything_was_seen_once() -> None:
    async with running_kube_api() as api:
        wanted = {f"ball-{number}" for number in range(2 * LIST_PART + 1)}
        for name in wanted:
            await api.create(names.SESSION_PLURAL, session_body(name))
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        found = [body["metadata"]["name"] async for body in client.list_sessions(NAMESPACE)]
        await client.close()
    assert sorted(found) == sorted(wanted)
    assert api.requests.count(f"GET {SESSIONS}") == 3


async def test_metadata_alone_can_be_listed() -> None:
    async with running_kube_api() as api:
        await api.create(names.SESSION_PLURAL, session_body("ball"))
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        (found,) = [body async for body in client.list_sessions(NAMESPACE, metadata_only=True)]
        await client.close()
    assert found["metadata"]["name"] == "ball"
    assert "spec" not in found


async def test_continuation_that_has_expired_is_worth_repeating() -> None:
    async with running_kube_api() as api:
        api.fail("GET", names.SESSION_PLURAL, status=410)
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        with pytest.raises(ApiUnavailable):
            _ = [body async for body in client.list_sessions(NAMESPACE)]
        await client.close()


async def test_sessions_that_wait_are_looked_at_before_those_that_are_well() -> None:
    """After a restart with 5,000 sessions, new ones waited for most of the others: 52 s."""
    touched: list[Touched] = []
    looked: list[SessionKey] = []
    async with running_kube_api() as api:
        phases = {"a": "Ready", "b": "Starting", "c": "Completed", "d": None}
        for name, phase in phases.items():
            body = session_body(name) | ({"status": {"phase": phase}} if phase else {})
            await api.create(names.SESSION_PLURAL, body)
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        resync = Resync(
            kube=client,
            cache=Cache(),
            clock=SystemClock(),
            watchdog=WatchDog(),
            namespaces=[NAMESPACE],
            interval_s=600,
            touch=touched.append,
            look=looked.append,
        )
        await resync.run_once()
        await client.close()
    assert [one.session.name for one in touched if one.session] == ["b", "d"]
    assert [key.name for key in looked] == ["a", "c"]


async def test_what_a_list_brought_is_looked_at_even_if_the_list_fails() -> None:
    """To the watch it is no news any more: the session would wait for the next list."""
    touched: list[Touched] = []
    cache = Cache()
    async with running_kube_api() as api:
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        resync = Resync(
            kube=client,
            cache=cache,
            clock=SystemClock(),
            watchdog=WatchDog(),
            namespaces=[NAMESPACE, "elsewhere"],
            interval_s=600,
            touch=touched.append,
            look=lambda _key: None,
        )
        await resync.load()
        touched.clear()
        body = await api.create(names.SESSION_PLURAL, session_body("late"))
        api.fail("GET", "elsewhere", status=503)
        with pytest.raises(ApiUnavailable):
            await resync.run_once()
        await client.close()
    assert cache.put_session(body, now=START) is None
    assert [one.session.name for one in touched if one.session] == ["late"]
