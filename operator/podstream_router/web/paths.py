"""The tracking workload's paths below `/s/{namespace}/{session}/`, for clients with a token.

What is behind them is the session's own at `/`: this takes the prefix and the token off and passes
the rest. A browser's WebSocket can send no header, so the token may also stand in the query. Each
request has a connection to the pod of its own, because the next one on the same connection may be
for another session.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from podstream_core.agentapi import Protocol
from podstream_core.logs import log_fields
from podstream_core.tokens import PublicKeys
from podstream_core.web_roles import role_of
from podstream_router.access import Credential, check_token, random_holder, read_credential
from podstream_router.admission import Places, RateLimit
from podstream_router.agent import RawStream
from podstream_router.errors import PodFailed, Refusal
from podstream_router.http import client_address, preflight, session_key
from podstream_router.listening import Desk
from podstream_router.logfields import about
from podstream_router.placement import Seat
from podstream_router.protocols import require_workload
from podstream_router.targets import SessionTarget
from podstream_router.web.connector import PodClient
from podstream_router.web.head import is_upgrade
from podstream_router.web.sockets import GOING_AWAY, MAX_MESSAGE_BYTES, close, relay

logger = logging.getLogger(__name__)

_PREFIX: Final = "/s/{namespace}/{session}"
NAMES: Final = (
    "client",
    "processor",
    "timelines",
    "objectIds",
    "socket.io/",
    "detect_intruder",
    "health",
    "upload",
)
_TOKEN: Final = "token"
_NOT_PASSED: Final = frozenset(
    {
        hdrs.AUTHORIZATION,  # the session's token is the router's affair
        hdrs.CONNECTION,
        hdrs.COOKIE,
        hdrs.HOST,
        hdrs.KEEP_ALIVE,
        hdrs.PROXY_AUTHENTICATE,
        hdrs.PROXY_AUTHORIZATION,
        hdrs.SET_COOKIE,
        hdrs.TE,
        hdrs.TRAILER,
        hdrs.TRANSFER_ENCODING,
        hdrs.UPGRADE,
        hdrs.DATE,
        hdrs.SERVER,
        hdrs.SEC_WEBSOCKET_ACCEPT,
        hdrs.SEC_WEBSOCKET_EXTENSIONS,
        hdrs.SEC_WEBSOCKET_KEY,
        hdrs.SEC_WEBSOCKET_PROTOCOL,
        hdrs.SEC_WEBSOCKET_VERSION,
    }
)


class SitePaths:
    """Handlers of these paths."""

    def __init__(
        self, desk: Desk, *, client_keys: PublicKeys, rate: RateLimit, places: Places
    ) -> None:
        """Prepare the handlers.

        Args:
            desk: what they work with.
            client_keys: verify tokens.
            rate: of requests.
            places: requests and sockets that may be open at once.
        """
        self._desk = desk
        self._client_keys = client_keys
        self._rate = rate
        self._places = places
        self._open: set[web.WebSocketResponse] = set()

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for name in NAMES:
            path = f"{_PREFIX}/{name}"
            app.router.add_get(path, self._serve)
            app.router.add_post(path, self._serve)
            app.router.add_options(path, preflight)

    async def end(self) -> None:
        """End open WebSockets: their clients come back to another replica."""
        await asyncio.gather(*(close(socket, code=GOING_AWAY) for socket in self._open))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a request or a WebSocket; count and log what becomes of it."""
        result = "Abandoned"
        try:
            with log_fields(**request.match_info):
                response = await self._take(request)
            result = "Bound"
            return response
        except Refusal as refusal:
            result = refusal.error
            logger.info("request refused", extra={"error": result, "cause": refusal.message})
            raise
        finally:
            self._desk.metrics.connections.labels(Protocol.HTTP.value, result).inc()

    def _credential(self, request: web.Request) -> Credential | None:
        token = request.query.get(_TOKEN)
        if token:
            return check_token(token, keys=self._client_keys)
        return read_credential(request.headers.get("Authorization"), keys=self._client_keys)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        source = client_address(request)
        self._rate.spend(source)
        target = SessionTarget(session_key(request), self._credential(request), self._desk.routes)
        workloads = target.find().workloads
        require_workload(workloads, protocol=Protocol.HTTP, target=str(target.key))
        path = request.path.removeprefix(_PREFIX.format(**request.match_info))
        wants_socket = is_upgrade(request.headers.get(hdrs.UPGRADE))
        role = role_of(path, is_upgrade=wants_socket)
        url = URL("http://session").with_path(path)
        url = url.with_query(request.rel_url.without_query_params(_TOKEN).query)
        with self._places.place(source):
            async with self._opened(target, role=role, source=source) as client:
                try:
                    if wants_socket:
                        return await self._relay(request, client, url)
                    return await _ask(request, client, url)
                except (aiohttp.ClientError, TimeoutError) as error:
                    raise PodFailed(f"the session's pod does not answer: {error}") from error

    @asynccontextmanager
    async def _opened(
        self, target: SessionTarget, *, role: str, source: str
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """A connection to the session's pod, for the block."""
        # Not the token's digest: all who come with the session's token are clients of their own.
        holder = random_holder()

        async def attempt(seat: Seat) -> tuple[Seat, RawStream]:
            grant = seat.grant(Protocol.HTTP, holder=holder, source=source, role=role)
            return seat, await self._desk.agent.open_raw_stream(seat.pod, grant=grant)

        with (
            self._desk.claims.ticket(source=source) as ticket,
            self._desk.held.place(source),
        ):
            seat, stream = await self._desk.placement.place(
                target, attempt, ticket=ticket, protocol=Protocol.HTTP.value
            )
        fields = about(seat.session.key, pod=seat.pod, connection=stream.connection)
        logger.info("connection bound", extra={**fields, "role": role})
        self._desk.hints.send(seat.session.key)
        try:
            async with PodClient(stream.sock, early=stream.early) as client:
                yield client
        finally:
            self._desk.hints.send(seat.session.key)
            logger.info("connection ended", extra=fields)

    async def _relay(
        self, request: web.Request, client: aiohttp.ClientSession, url: URL
    ) -> web.StreamResponse:
        offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
        async with client.ws_connect(
            url,
            protocols=[item.strip() for item in offered.split(",") if item.strip()],
            headers=_passed(request.headers),
            max_msg_size=MAX_MESSAGE_BYTES,
            autoping=False,
        ) as pod:
            response = web.WebSocketResponse(
                protocols=[pod.protocol] if pod.protocol else (),
                max_msg_size=MAX_MESSAGE_BYTES,
                autoping=False,
                compress=False,
            )
            await response.prepare(request)
            self._open.add(response)
            try:
                await relay(response, pod)
            finally:
                self._open.discard(response)
        return response


async def _ask(request: web.Request, client: aiohttp.ClientSession, url: URL) -> web.StreamResponse:
    async with client.request(
        request.method,
        url,
        data=request.content if request.body_exists else None,
        headers=_passed(request.headers),
        allow_redirects=False,
    ) as answer:
        response = web.StreamResponse(
            status=answer.status, reason=answer.reason, headers=_passed(answer.headers)
        )
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.info("answer broke off", extra={"cause": str(error)})
            if request.transport is not None:
                request.transport.abort()  # else the client takes a part for the whole
    return response


def _passed(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Headers without those that are between two ends of one connection (RFC 9110, 7.6.1)."""
    ends = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    left_out = ends | {name.lower() for name in _NOT_PASSED}
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in left_out
    )
