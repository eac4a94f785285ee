"""WHEP (draft-ietf-wish-whep-03): HTTP in, a WebRTC connection to the session's pod out.

`POST /s/{namespace}/{session}/whep` takes the offer to the pod and answers with the pod's answer,
in which the router's addresses stand in place of the pod's. The connection's URL is unguessable and
belongs to the session's token. Candidates that clients trickle are dropped: a pod that knew them
would send media past the router. No state is kept: any replica serves any of these requests.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from podstream_core.agentapi import ConnectionGrant, Protocol
from podstream_core.api import SessionKey
from podstream_core.tokens import PublicKeys
from podstream_core.ufrag import parse_ufrag, pod_digest
from podstream_router import sdp
from podstream_router.access import Credential, authorise, random_holder, read_credential
from podstream_router.admission import Places, RateLimit
from podstream_router.advertise import Advertised
from podstream_router.agent import AgentClient, WhepAnswer
from podstream_router.errors import (
    BadOffer,
    BadRequest,
    Overloaded,
    PodFailed,
    Refusal,
    SessionEnded,
    TryAgain,
    UnknownConnection,
    UnknownSession,
    UnsupportedOffer,
)
from podstream_router.hints import Hints
from podstream_router.http import client_address, preflight, read_text, session_key
from podstream_router.metrics import RouterMetrics
from podstream_router.placement import Placement
from podstream_router.protocols import workload_for
from podstream_router.routes import PodRoute, RouteTable, SessionRoute, Topic

logger = logging.getLogger(__name__)

WATCH_LAG_S: Final = 2.0
"""How long a client with a good token waits for a session that the watch has not shown yet."""
_SDP: Final = "application/sdp"
_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
_PATH: Final = "/s/{namespace}/{session}/whep"
_CONNECTION_PATH: Final = _PATH + "/{connection:[A-Za-z0-9_-]{1,128}}"
_WHEP: Final = Protocol.WHEP.value


@dataclass(frozen=True, slots=True)
class SessionTarget:
    """The session that a path names, for a client with this credential."""

    key: SessionKey
    credential: Credential | None
    anonymous_holder: str
    routes: RouteTable

    @property
    def topic(self) -> Topic:
        """The session."""
        return self.key

    def find(self) -> SessionRoute | None:
        """The session, if the client may reach it.

        Raises:
            Refusal: it is gone, or not for this client.
        """
        session = self.routes.session(self.key)
        if session is None:
            raise UnknownSession(f"there is no session {self.key}: kubectl get streamsessions")
        authorise(session, credential=self.credential)
        return session

    def holder(self, session: SessionRoute) -> str:
        """Who the client is; the same over all attempts."""
        if session.public or self.credential is None:
            return self.anonymous_holder
        return self.credential.holder


class WhepHandlers:
    """Handlers of the WHEP paths."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        placement: Placement,
        agent: AgentClient,
        client_keys: PublicKeys,
        advertised: Advertised,
        held: Places,
        rate: RateLimit,
        hints: Hints,
        metrics: RouterMetrics,
    ) -> None:
        self._routes = routes
        self._placement = placement
        self._agent = agent
        self._client_keys = client_keys
        self._advertised = advertised
        self._held = held
        self._rate = rate
        self._hints = hints
        self._metrics = metrics
        self._cleanups: set[asyncio.Task[None]] = set()

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post(_PATH, self.connect)
        app.router.add_options(_PATH, preflight)
        app.router.add_patch(_CONNECTION_PATH, self.trickle)
        app.router.add_delete(_CONNECTION_PATH, self.end)
        app.router.add_options(_CONNECTION_PATH, preflight)

    async def target(self, request: web.Request) -> tuple[SessionTarget, SessionRoute]:
        """Check rate, token and session of a request.

        Raises:
            Refusal: the client may not go on.
        """
        self._rate.spend(client_address(request))
        key = session_key(request)
        authorization = request.headers.get("Authorization")
        credential = read_credential(authorization, keys=self._client_keys)
        if credential is not None:
            await self._placement.appear(key, timeout_s=WATCH_LAG_S)
        target = SessionTarget(key, credential, random_holder(), self._routes)
        session = target.find()
        assert session is not None, "find() raises where there is none"
        return target, session

    async def connect(self, request: web.Request) -> web.Response:
        """Take an offer to the session's pod."""
        try:
            response = await self._connect(request)
        except Refusal as refusal:
            self._metrics.connections.labels(_WHEP, refusal.error).inc()
            logger.info(
                "connection refused",
                extra={"path": request.path, "error": refusal.error, "cause": refusal.message},
            )
            raise
        except asyncio.CancelledError:
            self._metrics.connections.labels(_WHEP, "Abandoned").inc()
            raise
        self._metrics.connections.labels(_WHEP, "Bound").inc()
        return response

    async def _connect(self, request: web.Request) -> web.Response:
        target, session = await self.target(request)
        offer = await read_text(request, content_type=_SDP, limit=sdp.MAX_SDP_BYTES)
        stripped = _strip_offer(offer)
        workload_for(session, protocol=Protocol.WHEP)
        source = client_address(request)

        async def attempt(session: SessionRoute, pod: PodRoute) -> tuple[PodRoute, WhepAnswer]:
            grant = _grant(session, holder=target.holder(session), source=source)
            return pod, await self._offer(pod, grant=grant, offer=stripped)

        with self._held.place(source):
            pod, answer = await self._placement.place(target, attempt, protocol=_WHEP)
        self._hints.send(session.key)
        logger.info(
            "connection bound",
            extra={"session": str(session.key), "pod": pod.name, "connection": answer.connection},
        )
        location = f"/s/{session.key.namespace}/{session.key.name}/whep/{answer.connection}"
        return web.Response(
            status=201, text=answer.sdp, content_type=_SDP, headers={"Location": location}
        )

    async def _offer(self, pod: PodRoute, *, grant: ConnectionGrant, offer: str) -> WhepAnswer:
        """Offer to one pod and rewrite its answer; an answer that nobody reads is ended."""
        addresses = self._advertised.addresses
        if not addresses:
            raise Overloaded("the router's media address is not resolved yet")
        call = asyncio.create_task(self._agent.connect_whep(pod, grant=grant, sdp=offer))
        try:
            answer = await asyncio.shield(call)
        except asyncio.CancelledError:
            self._clean_up(self._end_when_done(call, pod, grant))
            raise
        try:
            rewritten = rewrite_for_clients(answer.sdp, pod=pod, addresses=addresses)
        except PodFailed:
            self._clean_up(self._end_quietly(pod, grant, answer.connection))
            raise
        return WhepAnswer(answer.connection, rewritten)

    async def trickle(self, request: web.Request) -> web.Response:
        """Accept a client's candidates and drop them."""
        await self.target(request)
        fragment = await read_text(request, content_type=_FRAGMENT, limit=sdp.MAX_SDP_BYTES)
        if not fragment.startswith("a=") and not fragment.startswith("m="):
            raise BadRequest("the body is no SDP fragment (RFC 8840)")
        if request.headers.get("If-Match", "").strip() in ("*", '"*"'):
            raise UnsupportedOffer(
                "ICE restart is not supported: the connection goes on as it is; to change the "
                "network, DELETE it and POST a new offer"
            )
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.Response:
        """End a connection."""
        target, session = await self.target(request)
        connection = request.match_info["connection"]
        pod = self._routes.pod_for(session.uid)
        if pod is None:
            raise SessionEnded("the session has no pod any more, so the connection has ended")
        grant = _grant(session, holder=target.holder(session), source=client_address(request))
        try:
            known = await self._agent.end_whep(pod, grant=grant, connection=connection)
        except TryAgain as error:
            raise Overloaded(f"{error}: try again") from error
        if not known:
            raise UnknownConnection("the session has no such connection; it may have ended")
        self._hints.send(session.key)
        logger.info(
            "connection ended", extra={"session": str(session.key), "connection": connection}
        )
        return web.Response()

    async def close(self) -> None:
        """Wait for clean-ups that are under way."""
        if self._cleanups:
            await asyncio.gather(*self._cleanups, return_exceptions=True)

    def _clean_up(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    async def _end_when_done(
        self, call: asyncio.Task[WhepAnswer], pod: PodRoute, grant: ConnectionGrant
    ) -> None:
        try:
            answer = await call
        except (Refusal, TryAgain):
            return
        await self._end_quietly(pod, grant, answer.connection)

    async def _end_quietly(self, pod: PodRoute, grant: ConnectionGrant, connection: str) -> None:
        try:
            await self._agent.end_whep(pod, grant=grant, connection=connection)
        except (Refusal, TryAgain) as error:
            logger.debug("unused connection not ended", extra={"cause": str(error)})


def rewrite_for_clients(
    description: str, *, pod: PodRoute, addresses: tuple[sdp.MediaAddress, ...]
) -> str:
    """Put the router's addresses into a pod's description.

    Raises:
        PodFailed: the description is malformed, or its ICE fragments do not name the pod, so that
            no media would arrive.
    """
    try:
        summary = sdp.check_ice(description)
        rewritten = sdp.rewrite_candidates(description, addresses=addresses)
    except sdp.SdpError as error:
        raise PodFailed(f"the description of the session's pod {error}") from error
    digest = pod_digest(pod.uid)
    for ufrag in summary.ufrags:
        place = parse_ufrag(ufrag)
        if place is None or place.pod_digest != digest:
            raise PodFailed("the ICE fragment of the session's pod does not name the pod")
    return rewritten


def _strip_offer(offer: str) -> str:
    try:
        sdp.check_ice(offer)
        return sdp.strip_candidates(offer)
    except sdp.SdpError as error:
        raise BadOffer(f"the offer {error}") from error


def _grant(session: SessionRoute, *, holder: str, source: str) -> ConnectionGrant:
    workload, role = workload_for(session, protocol=Protocol.WHEP)
    return ConnectionGrant(
        session_uid=session.uid,
        workload=workload,
        role=role,
        protocol=Protocol.WHEP,
        holder=holder,
        client_address=source,
    )
