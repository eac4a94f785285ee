"""WHEP (draft-ietf-wish-whep-03) and WHIP (RFC 9725): HTTP in, WebRTC to a session's pod out.

`POST /s/{namespace}/{session}/whep` takes the offer to the session's pod, `POST
/p/{namespace}/{pool}/whep` to a pod of its own that becomes a session; with `whip` for clients that
publish. To the router both are the same: admission, tokens, one client per session. The answer is
the pod's, in which the router's addresses stand in place of the pod's. The connection's URL is
unguessable and belongs to the session's token. Candidates that clients trickle are dropped: a pod
that knew them would send media past the router; no ETag is sent, because ICE restarts are not
supported, and no Link, because no client needs a STUN or TURN server. No state is kept: any replica
serves any of these requests.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from podstream_core.agentapi import Protocol
from podstream_core.logs import log_fields
from podstream_core.names import SESSION_HEADER, TOKEN_HEADER
from podstream_core.tokens import PublicKeys
from podstream_router import sdp
from podstream_router.access import Credential, check_token, holder_of, read_credential
from podstream_router.admission import Places, RateLimit
from podstream_router.agent import AgentClient, WhepAnswer
from podstream_router.claims import Claims
from podstream_router.descriptions import strip_offer
from podstream_router.errors import (
    BadRequest,
    Overloaded,
    Refusal,
    SessionEnded,
    TryAgain,
    UnknownConnection,
    UnknownSession,
    UnsupportedOffer,
)
from podstream_router.hints import Hints
from podstream_router.http import (
    TOKEN_QUERY,
    client_address,
    pool_key,
    preflight,
    read_text,
    session_key,
)
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.offers import Offers
from podstream_router.placement import Placement, Seat
from podstream_router.protocols import VIEWER, is_looked_at, require_workload
from podstream_router.routes import RouteTable, SessionRoute
from podstream_router.targets import PoolTarget, SessionTarget, ViewTarget

logger = logging.getLogger(__name__)

WATCH_LAG_S: Final = 2.0
"""How long a client with a good token waits for a session that the watch has not shown yet."""
_SDP: Final = "application/sdp"
_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
_SESSION_PATH: Final = "/s/{namespace}/{session}/"
_POOL_PATH: Final = "/p/{namespace}/{pool}/"
_CONNECTION: Final = "/{connection:[A-Za-z0-9_-]{1,128}}"

_Handler = Callable[[web.Request], Awaitable[web.Response]]


class WebRtcHandlers:
    """Handlers of the paths of one protocol, WHEP or WHIP."""

    def __init__(
        self,
        protocol: Protocol,
        *,
        routes: RouteTable,
        placement: Placement,
        claims: Claims,
        offers: Offers,
        agent: AgentClient,
        client_keys: PublicKeys,
        held: Places,
        rate: RateLimit,
        hints: Hints,
        metrics: RouterMetrics,
    ) -> None:
        self._protocol = protocol
        self._routes = routes
        self._placement = placement
        self._claims = claims
        self._offers = offers
        self._agent = agent
        self._client_keys = client_keys
        self._held = held
        self._rate = rate
        self._hints = hints
        self._metrics = metrics

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        name = _path_name(self._protocol)
        session, pool = _SESSION_PATH + name, _POOL_PATH + name
        connection = session + _CONNECTION
        app.router.add_post(session, self._counted(self._connect_to_session))
        app.router.add_post(pool, self._counted(self._connect_to_pool))
        app.router.add_patch(connection, self._trickle)
        app.router.add_delete(connection, self._end)
        for path in (session, pool, connection):
            app.router.add_options(path, preflight)

    async def target(self, request: web.Request) -> SessionTarget:
        """Check rate and token of a request for a session; wait for one that is to come.

        Raises:
            Refusal: the client may not go on.
        """
        credential = self._credential(request)
        key = session_key(request)
        if credential is not None:
            await self._placement.appear(
                key, lambda: self._routes.session(key), timeout_s=WATCH_LAG_S
            )
        return SessionTarget(key, credential, self._routes)

    async def _client_target(self, request: web.Request) -> SessionTarget:
        """As `target`, for a client of this protocol: it may be a viewer, who needs less."""
        target = await self.target(request)
        if is_looked_at(self._routes.session(target.key), protocol=self._protocol):
            return ViewTarget(target.key, target.credential, self._routes)
        return target

    def _credential(self, request: web.Request) -> Credential | None:
        self._rate.spend(client_address(request))
        token = request.query.get(TOKEN_QUERY) if request.method == "GET" else None
        if token:  # players open a film by its URL alone
            return check_token(token, keys=self._client_keys)
        return read_credential(request.headers.get("Authorization"), keys=self._client_keys)

    async def _logged(self, handler: _Handler, request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            logger.info(
                "connection refused", extra={"error": refusal.error, "cause": refusal.message}
            )
            raise

    def _counted(self, handler: _Handler) -> _Handler:
        """Count and log what becomes of connections."""
        protocol = self._protocol.value

        async def handle(request: web.Request) -> web.Response:
            try:
                with log_fields(**request.match_info):
                    response = await self._logged(handler, request)
            except Refusal as refusal:
                self._metrics.connections.labels(protocol, refusal.error).inc()
                raise
            except asyncio.CancelledError:
                self._metrics.connections.labels(protocol, "Abandoned").inc()
                raise
            self._metrics.connections.labels(protocol, "Bound").inc()
            return response

        return handle

    async def _connect_to_session(self, request: web.Request) -> web.Response:
        target = await self._client_target(request)
        session = target.find()
        return await self._connect(
            request, target, workloads=session.workloads, holder_for=target.holder
        )

    async def _connect_to_pool(self, request: web.Request) -> web.Response:
        credential = self._credential(request)
        target = PoolTarget(pool_key(request), credential, self._routes)
        if target.is_session_expected:
            await self._placement.appear(target.topic, target.own_session, timeout_s=WATCH_LAG_S)
        found = target.find()
        name, role = require_workload(
            found.workloads, protocol=self._protocol, target=str(target.key)
        )
        if role == VIEWER:
            raise UnknownSession(
                f"who looks on at a {name} names its session, /s/<namespace>/<session>/whep: "
                "a pool's sessions begin with their publishers"
            )

        def holder_for(_session: SessionRoute) -> str:
            # Without a claim the target has led to the session whose token the client shows.
            return credential.holder if credential is not None else ""

        return await self._connect(
            request, target, workloads=found.workloads, holder_for=holder_for
        )

    async def _connect(
        self,
        request: web.Request,
        target: SessionTarget | PoolTarget,
        *,
        workloads: tuple[str, ...],
        holder_for: Callable[[SessionRoute], str],
    ) -> web.Response:
        """Take an offer to the target's pod. Nothing is claimed for one that is malformed."""
        offer = strip_offer(await read_text(request, content_type=_SDP, limit=sdp.MAX_SDP_BYTES))
        require_workload(workloads, protocol=self._protocol, target=str(target.key))
        source = client_address(request)

        async def attempt(seat: Seat) -> tuple[Seat, WhepAnswer]:
            claim = seat.claim
            holder = holder_of(claim.token) if claim is not None else holder_for(seat.session)
            grant = seat.grant(self._protocol, holder=holder, source=source)
            return seat, await self._offers.exchange(seat, grant=grant, offer=offer)

        with self._claims.ticket(source=source) as ticket:
            with self._held.place(source):
                seat, answer = await self._placement.place(
                    target, attempt, ticket=ticket, protocol=self._protocol.value
                )
            ticket.keep()
        if seat.claim is None:  # else there is no session yet; its creation is a hint of its own
            self._hints.send(seat.session.key)
        logger.info(
            "connection bound",
            extra=about(seat.session.key, pod=seat.pod, connection=answer.connection),
        )
        headers = _headers(seat, answer, protocol=self._protocol)
        return web.Response(status=201, text=answer.sdp, content_type=_SDP, headers=headers)

    async def _trickle(self, request: web.Request) -> web.Response:
        """Accept a client's candidates and drop them."""
        target = await self._client_target(request)
        target.find_for_connection()
        fragment = await read_text(request, content_type=_FRAGMENT, limit=sdp.MAX_SDP_BYTES)
        if not fragment.startswith("a=") and not fragment.startswith("m="):
            raise BadRequest("the body is no SDP fragment (RFC 8840)")
        if request.headers.get("If-Match", "").strip() in ("*", '"*"'):
            raise UnsupportedOffer(
                "ICE restart is not supported: the connection goes on as it is; to change the "
                "network, DELETE it and POST a new offer"
            )
        return web.Response(status=204)

    async def _end(self, request: web.Request) -> web.Response:
        """End a connection."""
        target = await self._client_target(request)
        session = target.find_for_connection()
        connection = request.match_info["connection"]
        pod = self._routes.pod_for(session)
        if pod is None:
            raise SessionEnded("the session has no pod any more, so the connection has ended")
        grant = Seat(session, pod).grant(
            self._protocol, holder=target.holder(session), source=client_address(request)
        )
        try:
            known = await self._agent.end_whep(pod, grant=grant, connection=connection)
        except TryAgain as error:
            raise Overloaded(f"{error}: try again") from error
        if not known:
            raise UnknownConnection("the session has no such connection; it may have ended")
        self._hints.send(session.key)
        logger.info("connection ended", extra=about(session.key, pod=pod, connection=connection))
        return web.Response()


def _path_name(protocol: Protocol) -> str:
    return protocol.value.lower()


def _headers(seat: Seat, answer: WhepAnswer, *, protocol: Protocol) -> dict[str, str]:
    key = seat.session.key
    name = _path_name(protocol)
    headers = {"Location": f"/s/{key.namespace}/{key.name}/{name}/{answer.connection}"}
    if seat.session.pool:
        headers[SESSION_HEADER] = str(key)
    if seat.claim is not None:
        headers[TOKEN_HEADER] = seat.claim.token
    return headers
