"""Looking on: `GET /s/{namespace}/{session}/mjpeg` and `.../frames`.

The first is for any browser (`<img src=...>`), the second has raw frames as the publisher sends
them. What passes is copied as it comes from the pod; a viewer that reads slowly slows nobody,
because the pod drops pictures for it. A browser's `<img>` can send no header, so the token may
also stand in the query.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from podstream_core.agentapi import Protocol
from podstream_core.logs import log_fields
from podstream_core.names import MJPEG_TYPE
from podstream_core.tokens import PublicKeys
from podstream_router.access import (
    Credential,
    check_token,
    random_holder,
    read_credential,
)
from podstream_router.admission import Places, RateLimit
from podstream_router.agent import STREAM_BUFFER_BYTES, PodStream
from podstream_router.errors import Refusal
from podstream_router.http import client_address, preflight, session_key
from podstream_router.listening import Desk
from podstream_router.logfields import about
from podstream_router.placement import Seat
from podstream_router.protocols import require_workload
from podstream_router.targets import ViewTarget

logger = logging.getLogger(__name__)

_TYPES: Final = {
    Protocol.MJPEG: MJPEG_TYPE,
    Protocol.VIEW: "application/octet-stream",
}
_PATHS: Final = {
    Protocol.MJPEG: "/s/{namespace}/{session}/mjpeg",
    Protocol.VIEW: "/s/{namespace}/{session}/frames",
}


class WatchHandlers:
    """Handlers of the viewers' paths."""

    def __init__(
        self, desk: Desk, *, client_keys: PublicKeys, rate: RateLimit, places: Places
    ) -> None:
        """Prepare the handlers.

        Args:
            desk: what they work with.
            client_keys: verify tokens.
            rate: of requests.
            places: viewers that may be served at once.
        """
        self._desk = desk
        self._client_keys = client_keys
        self._rate = rate
        self._places = places
        self._open: set[asyncio.StreamWriter] = set()

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for protocol, path in _PATHS.items():
            app.router.add_get(path, self._counted(protocol), allow_head=False)
            app.router.add_options(path, preflight)

    def end(self) -> None:
        """End what is shown: viewers come back to another replica."""
        for writer in list(self._open):
            writer.close()

    def _counted(
        self, protocol: Protocol
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Count and log what becomes of viewers."""

        async def handle(request: web.Request) -> web.StreamResponse:
            result = "Abandoned"

            def on_bound() -> None:
                nonlocal result  # whoever is served ends by leaving, which cancels this handler
                result = "Bound"

            try:
                with log_fields(**request.match_info):
                    return await self._watch(request, protocol, on_bound)
            except Refusal as refusal:
                result = refusal.error
                logger.info("viewer refused", extra={"error": result, "cause": refusal.message})
                raise
            finally:
                self._desk.metrics.connections.labels(protocol.value, result).inc()

        return handle

    def _credential(self, request: web.Request) -> Credential | None:
        token = request.query.get("token")
        if token:
            return check_token(token, keys=self._client_keys)
        return read_credential(request.headers.get("Authorization"), keys=self._client_keys)

    async def _watch(
        self, request: web.Request, protocol: Protocol, on_bound: Callable[[], None]
    ) -> web.StreamResponse:
        source = client_address(request)
        self._rate.spend(source)
        target = ViewTarget(session_key(request), self._credential(request), self._desk.routes)
        workloads = target.find().workloads
        require_workload(workloads, protocol=protocol, target=str(target.key))
        with self._places.place(source):
            async with self._opened(target, protocol, source=source) as (seat, stream):
                response = web.StreamResponse(
                    headers={
                        "Content-Type": _TYPES[protocol],
                        "Cache-Control": "no-store",
                        "X-Content-Type-Options": "nosniff",
                    }
                )
                fields = about(seat.session.key, pod=seat.pod, connection=stream.connection)
                on_bound()
                logger.info("viewer bound", extra=fields)
                try:
                    await response.prepare(request)
                    await self._copy(stream, response)
                finally:
                    logger.info("viewer ended", extra=fields)
        return response

    @asynccontextmanager
    async def _opened(
        self, target: ViewTarget, protocol: Protocol, *, source: str
    ) -> AsyncIterator[tuple[Seat, PodStream]]:
        """A connection to the session's pod, for the block."""
        # Not the token's digest: everybody who looks on with one token is a viewer of his own.
        holder = random_holder()

        async def attempt(seat: Seat) -> tuple[Seat, PodStream]:
            grant = seat.grant(protocol, holder=holder, source=source)
            return seat, await self._desk.agent.open_stream(seat.pod, grant=grant)

        with (
            self._desk.claims.ticket(source=source) as ticket,
            self._desk.held.place(source),
        ):
            seat, stream = await self._desk.placement.place(
                target, attempt, ticket=ticket, protocol=protocol.value
            )
        try:
            yield seat, stream
        finally:
            stream.writer.close()

    async def _copy(self, stream: PodStream, response: web.StreamResponse) -> None:
        """Pass on what comes until the pod, the viewer or this router ends it."""
        self._open.add(stream.writer)
        try:
            while chunk := await stream.reader.read(STREAM_BUFFER_BYTES):
                await response.write(chunk)
        except OSError as error:  # the viewer has gone, or the pod
            logger.debug("viewer lost: %s", error)
        finally:
            self._open.discard(stream.writer)
