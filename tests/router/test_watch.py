import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from podstream_core.api import SessionKey
from podstream_router import watch as watch_module
from podstream_router.feeds import SessionFeed
from podstream_router.routes import RouteTable
from podstream_router.watch import ApiError, ApiUnreachable, Watch, sessions_in
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


def test_identity_of_a_body_without_metadata_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        SessionFeed(RouteTable()).apply("ADDED", msgspec.Raw(b"{}"))
