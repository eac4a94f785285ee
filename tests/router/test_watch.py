import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
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

KEY = SessionKey("lab", "ball")


@pytest.fixture(autouse=True)
def fast_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "BACKOFF_FIRST_S", 0.001)
    monkeypatch.setattr(watch_module, "BACKOFF_LAST_S", 0.01)


def session(name: str = "ball", version: str = "1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "creationTimestamp": "2026-03-01T10:00:00Z",
        },
        "spec": {"circle": {}, **spec},
    }


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


def event(kind: str, body: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode()


def listed(*items: dict[str, Any], version: str = "10", following: str = "") -> bytes:
    meta = {"resourceVersion": version, **({"continue": following} if following else {})}
    return json.dumps({"metadata": meta, "items": list(items)}).encode()


@dataclass
class Script:
    """An API server that answers from a script and then stays silent."""

    lists: list[bytes | Exception]
    watches: list[list[bytes | Exception]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)

    async def get(self, path: str, *, query: Mapping[str, str]) -> bytes:
        self.queries.append(dict(query))
        if not self.lists:
            await asyncio.Event().wait()
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.queries.append(dict(query))
        if not self.watches:
            await asyncio.Event().wait()

        async def play(script: list[bytes | Exception]) -> AsyncIterator[bytes]:
            for item in script:
                if isinstance(item, Exception):
                    raise item
                yield item

        yield play(self.watches.pop(0))

    def watched_from(self) -> list[str]:
        return [query["resourceVersion"] for query in self.queries if "watch" in query]


@asynccontextmanager
async def following(script: Script) -> AsyncIterator[tuple[Watch, RouteTable, list[str]]]:
    """Run a session watch until its script is used up."""
    routes, restarts = RouteTable(), list[str]()
    watch = Watch(
        sessions_in("lab"),
        api=script,
        feed=SessionFeed(routes),
        clock=asyncio.get_running_loop().time,
        on_restart=restarts.append,
    )
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: task.done() or not (script.lists or script.watches))
        await asyncio.sleep(0.02)
        assert not task.done()
        yield watch, routes, restarts
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_events_after_the_list_are_applied_in_order() -> None:
    script = Script(
        [listed(session("old"), session("gone"))],
        [
            [
                event("ADDED", session("new", "11")),
                event("DELETED", session("gone", "12")),
                event("MODIFIED", session("old", "13", access={"mode": "Public"})),
            ]
        ],
    )
    async with following(script) as (watch, routes, _):
        assert watch.synced
        assert routes.session_count == 2
        old = routes.session(SessionKey("lab", "old"))
        assert old is not None
        assert old.public
        assert routes.session(SessionKey("lab", "new")) is not None


async def test_ended_watch_goes_on_where_it_stopped() -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "77"}})
    script = Script([listed()], [[event("ADDED", session(version="11"))], [bookmark], []])
    async with following(script):
        assert script.watched_from() == ["10", "11", "77", "77"]
        assert len([query for query in script.queries if "limit" in query]) == 1


async def test_broken_watch_goes_on_where_it_stopped() -> None:
    broken: list[bytes | Exception] = [
        event("ADDED", session(version="11")),
        ApiUnreachable("reset"),
    ]
    script = Script([listed()], [broken, []])
    async with following(script) as (_, routes, restarts):
        assert script.watched_from()[:2] == ["10", "11"]
        assert routes.session(KEY) is not None
        assert "broken" in restarts


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(
            event("ERROR", {"kind": "Status", "code": 410, "message": "too old"}), id="as-an-event"
        ),
        pytest.param(ApiError(410, "too old"), id="as-a-status"),
    ],
)
async def test_version_that_is_too_old_means_a_new_list(gone: bytes | Exception) -> None:
    script = Script([listed(session("missed")), listed(session(), version="50")], [[gone], []])
    async with following(script) as (_, routes, restarts):
        assert "gone" in restarts
        assert script.watched_from()[1] == "50"
        assert routes.session(SessionKey("lab", "missed")) is None
        assert routes.session(KEY) is not None


async def test_unreachable_server_leaves_the_routes_alone() -> None:
    down: list[bytes | Exception] = [ApiUnreachable("no route")] * 5
    gone: list[bytes | Exception] = [event("ERROR", {"code": 410, "message": ""})]
    script = Script([listed(session()), *down], [gone])
    async with following(script) as (_, routes, restarts):
        assert restarts.count("error") == 5
        assert routes.session(KEY) is not None


async def test_refusal_is_tried_again() -> None:
    script = Script([ApiError(403, "forbidden"), ApiError(500, "oops"), listed(session())])
    async with following(script) as (watch, routes, _):
        assert watch.synced
        assert routes.session(KEY) is not None


async def test_long_list_is_read_in_pages() -> None:
    script = Script([listed(session("a"), following="next"), listed(session("b"))])
    async with following(script) as (_, routes, _):
        assert routes.session_count == 2
        assert [query.get("continue") for query in script.queries[:2]] == [None, "next"]


async def test_list_that_expires_between_pages_starts_again() -> None:
    script = Script(
        [listed(session("a"), following="next"), ApiError(410, "expired"), listed(session("b"))]
    )
    async with following(script) as (_, routes, _):
        assert routes.session(SessionKey("lab", "a")) is None
        assert routes.session(SessionKey("lab", "b")) is not None


async def test_junk_on_the_watch_means_a_new_list() -> None:
    script = Script([listed(), listed(session())], [[b"<html>"]])
    async with following(script) as (_, routes, _):
        assert routes.session(KEY) is not None


async def test_object_that_cannot_be_read_stops_no_other() -> None:
    odd = session("odd")
    odd["spec"] = {"listeners": 7}
    script = Script([listed(odd, session())], [[event("MODIFIED", odd)]])
    async with following(script) as (_, routes, _):
        assert routes.session_count == 1


async def test_watch_that_always_ends_at_once_is_not_a_busy_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch_module, "BACKOFF_FIRST_S", 10.0)
    monkeypatch.setattr(watch_module, "BACKOFF_LAST_S", 10.0)
    script = Script([listed()], [[]] * 100)
    routes = RouteTable()
    watch = Watch(
        sessions_in("lab"),
        api=script,
        feed=SessionFeed(routes),
        clock=asyncio.get_running_loop().time,
    )
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert len(script.watches) >= 97


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


def test_identity_of_a_body_without_metadata_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        SessionFeed(RouteTable()).apply("ADDED", msgspec.Raw(b"{}"))
