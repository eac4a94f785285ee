import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kubernetes.aio import client

from fakes.kube_api import FakeKubeApi, running_kube_api
from podstream_core.api import PoolKey, SessionKey
from podstream_router import watch as watch_module
from podstream_router.feeds import PodFeed, PoolFeed, SessionFeed
from podstream_router.kube import KubeReader
from podstream_router.routes import RouteTable
from podstream_router.watch import ApiError, ApiUnreachable, Watch, pods_in, pools_in, sessions_in
from router.harness import until
from router.test_watch import session

KEY = SessionKey("lab", "ball")


@pytest.fixture(autouse=True)
def fast_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "BACKOFF_FIRST_S", 0.001)
    monkeypatch.setattr(watch_module, "BACKOFF_LAST_S", 0.01)


def pod(name: str = "ball-1") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "labels": {"podstream.dev/session": "ball", "podstream.dev/role": "session"},
            "ownerReferences": [
                {
                    "apiVersion": "podstream.dev/v1alpha1",
                    "kind": "StreamSession",
                    "name": "ball",
                    "uid": "uid-ball",
                    "controller": True,
                }
            ],
        },
        "status": {"phase": "Running", "podIP": "10.1.2.3"},
    }


@asynccontextmanager
async def against_a_server() -> AsyncIterator[tuple[FakeKubeApi, RouteTable, KubeReader]]:
    """All watches against a server over HTTP."""
    async with running_kube_api() as api:
        configuration = client.Configuration()
        configuration.host = api.url
        reader = KubeReader(client.ApiClient(configuration))
        routes = RouteTable()
        clock: Callable[[], float] = asyncio.get_running_loop().time
        watches = [
            Watch(sessions_in("lab"), api=reader, feed=SessionFeed(routes), clock=clock),
            Watch(pools_in("lab"), api=reader, feed=PoolFeed(routes), clock=clock),
            Watch(pods_in("lab"), api=reader, feed=PodFeed(routes), clock=clock),
        ]
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        await until(lambda: all(watch.synced for watch in watches))
        try:
            yield api, routes, reader
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await reader.close()


async def test_routes_follow_a_server_over_http() -> None:
    async with against_a_server() as (api, routes, _):
        created = await api.create("streamsessions", session())
        await until(lambda: routes.session(KEY))
        body = pod()
        body["metadata"]["ownerReferences"][0]["uid"] = created["metadata"]["uid"]
        await api.create("pods", body)
        await until(lambda: routes.pod_count == 1)

        def kill(changed: dict[str, Any]) -> None:
            changed["status"]["phase"] = "Failed"

        await api.edit("pods", "lab", "ball-1", kill)
        await until(lambda: routes.pod_count == 0)
        await api.remove("streamsessions", "lab", "ball")
        await until(lambda: routes.session_count == 0)


def warm_pod(owner: str) -> dict[str, Any]:
    body = pod("media-ab12c")
    body["metadata"]["labels"] = {
        "podstream.dev/pool": "media",
        "podstream.dev/role": "session",
        "podstream.dev/pod-shape": "abc",
    }
    body["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "podstream.dev/v1alpha1",
            "kind": "StreamPool",
            "name": "media",
            "uid": owner,
            "controller": True,
        }
    ]
    body["status"]["containerStatuses"] = [{"name": "session", "ready": True}]
    return body


def pool(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamPool",
        "metadata": {"name": "media", "namespace": "lab"},
        "spec": {"template": {"spec": {"circle": {}}}, "max": 3, **spec},
    }


async def test_pools_and_adoptions_follow_a_server_over_http() -> None:
    key = PoolKey("lab", "media")
    async with against_a_server() as (api, routes, _):
        gone: list[str] = []
        routes.on_pod_gone = lambda pod: gone.append(pod.uid)
        created = await api.create("streampools", pool())
        await until(lambda: routes.pool(key))
        warm = await api.create("pods", warm_pod(created["metadata"]["uid"]))
        await until(lambda: routes.pods_of_pool(key))
        uid = warm["metadata"]["uid"]
        idle = routes.pod(uid)
        assert idle is not None
        assert (idle.session, idle.owner_uid, idle.ready) == (
            None,
            created["metadata"]["uid"],
            True,
        )

        body = session("media-12345678")
        body["metadata"]["labels"] = {"podstream.dev/pool": "media"}
        body["metadata"]["annotations"] = {"podstream.dev/assignment": f"id-1/media-ab12c/{uid}"}
        made = await api.create("streamsessions", body)
        await until(lambda: routes.sessions_of_pool(key))

        def adopt(changed: dict[str, Any]) -> None:
            changed["metadata"]["labels"]["podstream.dev/session"] = "media-12345678"
            changed["metadata"]["ownerReferences"][0].update(
                kind="StreamSession", name="media-12345678", uid=made["metadata"]["uid"]
            )

        await api.edit("pods", "lab", "media-ab12c", adopt)
        await until(lambda: routes.pod(uid) != idle)
        (shown,) = routes.sessions_of_pool(key)
        assert routes.pod_for(shown) == routes.pod(uid)
        assert not gone

        def delete(changed: dict[str, Any]) -> None:
            changed["metadata"]["deletionTimestamp"] = "2026-03-01T11:00:00Z"

        await api.edit("streampools", "lab", "media", delete)
        await until(lambda: (found := routes.pool(key)) and found.ended)
        await api.remove("streampools", "lab", "media", orphan=True)
        await until(lambda: routes.pool(key) is None)
        assert routes.pod(uid) is not None


async def test_sessions_are_created_over_http() -> None:
    path = "/apis/podstream.dev/v1alpha1/namespaces/lab/streamsessions"
    async with against_a_server() as (api, routes, reader):
        await reader.create(path, query={"fieldManager": "podstream-router"}, body=session("new"))
        await until(lambda: routes.session(SessionKey("lab", "new")))
        (write,) = api.writes_of("streamsessions")
        assert (write.method, write.body["spec"]) == ("POST", {"circle": {}})
        with pytest.raises(ApiError) as again:
            await reader.create(path, query={}, body=session("new"))
        assert again.value.status == 409

        api.fail("POST", "streamsessions", status=429, headers={"Retry-After": "7"})
        with pytest.raises(ApiError, match="injected") as refused:
            await reader.create(path, query={}, body=session("other"))
        assert (refused.value.status, refused.value.retry_after_s) == (429, 7.0)


@pytest.mark.parametrize("gone", [False, True], ids=["dropped", "dropped-and-too-old"])
async def test_dropped_watches_catch_up_over_http(gone: bool) -> None:
    async with against_a_server() as (api, routes, _):
        await api.create("streamsessions", session("first"))
        await until(lambda: routes.session_count == 1)
        await api.drop_watches(gone=gone)
        await api.create("streamsessions", session("second"))
        await until(lambda: routes.session_count == 2)


async def test_server_that_does_not_answer_is_unreachable() -> None:
    configuration = client.Configuration()
    configuration.host = "http://127.0.0.1:1"
    reader = KubeReader(client.ApiClient(configuration))
    with pytest.raises(ApiUnreachable):
        await reader.get("/api/v1/pods", query={})
    with pytest.raises(ApiUnreachable):
        await reader.create("/api/v1/pods", query={}, body={})
    with pytest.raises(ApiUnreachable):
        async with reader.lines("/api/v1/pods", query={}, silence_s=1):
            pass
    await reader.close()


async def test_refusal_of_the_server_is_an_error_with_its_status() -> None:
    async with against_a_server() as (_, _, reader):
        with pytest.raises(ApiError) as refused:
            await reader.get("/api/v1/namespaces/lab/pods/none", query={})
        assert refused.value.status == 404
