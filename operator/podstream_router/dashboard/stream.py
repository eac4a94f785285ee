"""Server-sent events (HTML, section 9.2): what a page may see, and every change of it.

A page reads them by `fetch`, so that its token travels in a header and never in a URL. What a slow
page has not taken yet is merged: it gets the newest state of each object, never a backlog. Each
stream ends after a quarter of an hour, and the page comes back with its token.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Final

import msgspec
from aiohttp import web

from podstream_core.api import SessionKey
from podstream_router.admission import Places
from podstream_router.dashboard.board import Board, Place
from podstream_router.dashboard.callers import Caller, Doorkeeper, Holder
from podstream_router.dashboard.live import INTERVAL_S, LiveResults
from podstream_router.dashboard.paths import key_of
from podstream_router.errors import Refusal, ShuttingDown
from podstream_router.http import client_address

LIFETIME_S: Final = 900.0
RECHECK_S: Final = 30.0
"""The token is checked again after so long: a right that was taken away ends the stream."""
HEARTBEAT_S: Final = 15.0
"""A comment after so long without an event: proxies close what is silent."""
GATHER_S: Final = 0.1
"""Changes within this time are sent together."""
WRITE_TIMEOUT_S: Final = 10.0
"""A page that takes nothing for so long is cut off."""
_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class EventStreams:
    """Handlers of the two streams: all that one may see, and one session with its figures."""

    def __init__(
        self,
        *,
        board: Board,
        door: Doorkeeper,
        live: LiveResults,
        places: Places,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`places`: streams that may be open."""
        self._board = board
        self._door = door
        self._live = live
        self._places = places
        self._clock = clock
        self._closing = False
        self._open: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End all streams: the pages come back to another replica."""
        self._closing = True
        for task in tuple(self._open):
            task.cancel()

    async def everything(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/v1/events`."""
        caller = await self._door.identify(request)
        return await self._serve(request, caller, only=None)

    async def session(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/v1/sessions/{namespace}/{name}/events`."""
        caller = await self._door.identify(request)
        key = key_of(request)
        self._door.session(caller, key)
        return await self._serve(request, caller, only=key)

    async def _serve(
        self, request: web.Request, caller: Caller, *, only: SessionKey | None
    ) -> web.StreamResponse:
        if self._closing:
            raise ShuttingDown
        with self._places.place(client_address(request)), self._board.subscribed() as changes:
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            page = _Page(response)
            until = self._clock() + LIFETIME_S

            async def run() -> None:
                check_at = self._clock() + RECHECK_S
                # What there is at first, which may be nothing, is there at once.
                await self._send(page, caller, set(self._places_of(caller, only)), only=only)
                await page.event("ready", b"{}")
                while self._clock() < until:
                    if self._clock() >= check_at:
                        await self._door.check_again(request, caller, only)
                        check_at = self._clock() + RECHECK_S
                    changed = await changes.wait(timeout_s=INTERVAL_S if only else HEARTBEAT_S)
                    await self._send(page, caller, changed, only=only)
                    if only is not None:
                        await self._send_figures(page, only)
                    await page.heartbeat(self._clock())
                    await asyncio.sleep(GATHER_S)

            await self._until_closed(run())
            return response

    async def _until_closed(self, work: Coroutine[None, None, None]) -> None:
        """Run a stream until it ends, its page goes, or the router stops."""
        task = asyncio.ensure_future(work)
        self._open.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._open.discard(task)
            task.cancel()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError | Refusal):
            raise error

    def _places_of(self, caller: Caller, only: SessionKey | None) -> list[Place]:
        if only is not None:
            return [("session", only)]
        entries = [*self._board.all("session")]
        if not isinstance(caller, Holder):
            entries += self._board.all("pool")
        return [entry.place for entry in entries if caller.may_see(entry)]

    async def _send(
        self, page: "_Page", caller: Caller, changed: set[Place], *, only: SessionKey | None
    ) -> None:
        for place in sorted(changed):
            if only is not None and place != ("session", only):
                continue
            kind, key = place
            entry = self._door.visible(caller, place)
            if entry is not None:
                page.shown.add(place)
                await page.event(kind, entry.body)
            elif place in page.shown:
                # Only of what this page has seen: a name alone would tell of others' sessions.
                page.shown.discard(place)
                gone = {"namespace": key.namespace, "name": key.name}
                await page.event(f"{kind}-gone", msgspec.json.encode(gone))

    async def _send_figures(self, page: "_Page", key: SessionKey) -> None:
        if ("session", key) in page.shown:
            figures = await self._live.read(key)
            if figures is not None:
                await page.event("figures", figures)


class _Page:
    """One open page."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._sent_at = 0.0
        self._dirty = False
        self.shown: set[Place] = set()

    async def event(self, name: str, data: bytes) -> None:
        """Send an event; JSON has no line break, which would end it."""
        await self._write(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")
        self._dirty = True

    async def heartbeat(self, now: float) -> None:
        """Send a comment where nothing was sent for long."""
        if self._dirty:
            self._dirty, self._sent_at = False, now
        elif now - self._sent_at >= HEARTBEAT_S:
            self._sent_at = now
            await self._write(b": still here\n\n")

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self._response.write(data)
