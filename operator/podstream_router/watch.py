"""Keeps one resource of one namespace in step with the API server: list, watch, and again.

The loop never ends by itself. It lists (in pages), hands the whole list over, and then follows the
watch from the list's resourceVersion, through bookmarks. A watch that the server ends is resumed
where it stopped; a resourceVersion that is too old (410) means a new list; an unreachable server
means waiting with back-off while the last known routes stay in force: an outage of the API server
must not cut connections to pods that are alive.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from podstream_core import names
from podstream_router.feeds import Feed

logger = logging.getLogger(__name__)

PAGE_SIZE: Final = 500
WATCH_SECONDS: Final = 300
"""How long the server may keep one watch open; spread by a tenth so that replicas differ."""
SILENCE_SECONDS: Final = 100
"""Longest silence on a watch. Bookmarks come about once a minute, so more than that means a dead
connection."""
SHORT_WATCH_S: Final = 1.0
"""A watch that ends sooner is opened anew with back-off: something in between cuts it."""
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_LAST_S: Final = 10.0
_GONE: Final = 410


class ApiError(Exception):
    """The API server refused a call."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        retry_after_s: float = 0.0,
        causes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.causes = causes
        """`field` and `message` of each fault of an object that was sent."""
        self.retry_after_s = retry_after_s
        """Seconds that the server wants to be left alone."""


class ApiUnreachable(Exception):
    """The API server did not answer, or its answer broke off."""


class ApiReader(Protocol):
    """The two reads that a watch needs; errors are `ApiError` and `ApiUnreachable`."""

    async def get(self, path: str, *, query: Mapping[str, str]) -> bytes:
        """Body of one answer."""

    def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Lines of a watch, until the server ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What to watch."""

    name: str
    """For logs and metrics."""
    path: str
    namespace: str | None
    selector: str = ""


def sessions_in(namespace: str | None) -> Resource:
    """StreamSessions of a namespace, or of all."""
    scope = f"namespaces/{namespace}/" if namespace else ""
    path = f"/apis/{names.API_VERSION}/{scope}{names.SESSION_PLURAL}"
    return Resource(name="sessions", path=path, namespace=namespace)


def pools_in(namespace: str | None) -> Resource:
    """StreamPools of a namespace, or of all."""
    scope = f"namespaces/{namespace}/" if namespace else ""
    path = f"/apis/{names.API_VERSION}/{scope}{names.POOL_PLURAL}"
    return Resource(name="pools", path=path, namespace=namespace)


def pods_in(namespace: str | None) -> Resource:
    """Session pods of a namespace, or of all: of sessions, and idle ones of pools."""
    scope = f"namespaces/{namespace}/" if namespace else ""
    return Resource(
        name="pods",
        path=f"/api/v1/{scope}pods",
        namespace=namespace,
        selector=f"{names.LABEL_ROLE}={names.ROLE_SESSION}",
    )


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw]


class _EventMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _EventObject(msgspec.Struct):
    metadata: _EventMeta = msgspec.field(default_factory=_EventMeta)
    code: int = 0
    message: str = ""


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class Watch:
    """One list-and-watch loop and what it knows about its own health."""

    def __init__(
        self,
        resource: Resource,
        *,
        api: ApiReader,
        feed: Feed,
        clock: Callable[[], float],
        on_restart: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self.resource = resource
        self.synced = False
        """Whether a complete list has been handed over at least once."""
        self.heard_at = clock()
        """Clock time of the last sign of life: a list, an event or a bookmark."""
        self._api = api
        self._feed = feed
        self._clock = clock
        self._on_restart = on_restart
        self._backoff_s = 0.0

    async def run(self) -> None:
        """Follow the resource until cancelled."""
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                opened_at = self._clock()
                version = await self._follow(version)
                if self._clock() - opened_at < SHORT_WATCH_S:
                    await self._back_off(first_is_free=True)
            except (ApiError, ApiUnreachable, msgspec.DecodeError) as error:
                gone = isinstance(error, ApiError) and error.status == _GONE
                self._on_restart("gone" if gone else "error")
                if gone or not isinstance(error, ApiUnreachable):
                    version = ""
                self._report(error, gone=gone)
                await self._back_off(first_is_free=gone)

    async def _list(self) -> str:
        items: list[msgspec.Raw] = []
        query = {"limit": str(PAGE_SIZE)}
        if self.resource.selector:
            query["labelSelector"] = self.resource.selector
        while True:
            body = await self._api.get(self.resource.path, query=query)
            page = msgspec.json.decode(body, type=_List)
            items += page.items
            if not page.metadata.continue_:
                break
            query = {**query, "continue": page.metadata.continue_}
        self._feed.replace(self.resource.namespace, items)
        self._heard()
        if not self.synced:
            self.synced = True
            extra = {"resource": self.resource.name, "namespace": self.resource.namespace}
            logger.info("watch synced", extra={**extra, "objects": len(items)})
        return page.metadata.resource_version

    async def _follow(self, version: str) -> str:
        """Apply events from a version on; return the version that was reached.

        A connection that breaks off is no error: what was applied is applied, and the next call
        goes on from the returned version.
        """
        seconds = int(WATCH_SECONDS * random.uniform(0.9, 1.1))
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        if self.resource.selector:
            query["labelSelector"] = self.resource.selector
        opened = self._api.lines(self.resource.path, query=query, silence_s=SILENCE_SECONDS)
        try:
            async with opened as lines:
                async for line in lines:
                    version = self._apply(line) or version
            self._on_restart("ended")
        except ApiUnreachable as error:
            logger.debug("watch broke off", extra={"cause": str(error)})
            self._on_restart("broken")
            await self._back_off(first_is_free=False)
        return version

    def _apply(self, line: bytes) -> str:
        event = msgspec.json.decode(line, type=_Event)
        head = msgspec.json.decode(event.object, type=_EventObject)
        if event.type == "ERROR":
            raise ApiError(head.code, head.message)
        if event.type != "BOOKMARK":
            self._feed.apply(event.type, event.object)
        self._heard()
        return head.metadata.resource_version

    def _heard(self) -> None:
        self.heard_at = self._clock()
        self._backoff_s = 0.0

    def _report(self, error: Exception, *, gone: bool) -> None:
        extra = {"resource": self.resource.name, "namespace": self.resource.namespace}
        if gone:
            logger.info("watch is too old: listing again", extra=extra)
        else:
            logger.warning(
                "watch failed: routes stay as they were",
                extra={**extra, "cause": str(error), "retry_s": self._backoff_s},
            )

    async def _back_off(self, *, first_is_free: bool) -> None:
        delay_s, last = self._backoff_s, self._backoff_s
        self._backoff_s = min(BACKOFF_LAST_S, max(BACKOFF_FIRST_S, 2 * last))
        if not first_is_free and not delay_s:
            delay_s = BACKOFF_FIRST_S
        await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))
