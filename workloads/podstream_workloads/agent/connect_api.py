"""The connect port: WHEP and WHIP as the router forwards them (docs/adr/0002-contract.md).

Both are an offer and an answer; which one it is the grant says.
"""

from typing import Final

from aiohttp import web

from podstream_core.agentapi import Protocol
from podstream_core.names import CONNECTION_HEADER
from podstream_workloads.agent.agent import Agent
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.httpserver import HttpServer, bearer_token, read_body

MAX_SDP_BYTES: Final = 64 * 1024
_SDP: Final = "application/sdp"


class ConnectApi:
    """Handlers of the connect port."""

    def __init__(self, agent: Agent, *, timeout_s: float) -> None:
        """`timeout_s`: for a request's body."""
        self._agent = agent
        self._timeout_s = timeout_s

    def add_to(self, server: HttpServer) -> None:
        """Add the routes."""
        server.app.router.add_post("/whep", self._connect)
        server.app.router.add_patch("/whep/{id}", self._trickle)
        server.app.router.add_delete("/whep/{id}", self._disconnect)

    async def _connect(self, request: web.Request) -> web.Response:
        grant = self._agent.authorize_connection(bearer_token(request))
        if grant.protocol not in (Protocol.WHEP, Protocol.WHIP):
            message = f"the token grants {grant.protocol}, not WHEP or WHIP"
            raise Refusal(401, "InvalidToken", message)
        if request.content_type != _SDP:
            raise Refusal(400, "BadOffer", f"send the offer as {_SDP}")
        body = await read_body(request, timeout_s=self._timeout_s)
        try:
            offer = body.decode()
        except UnicodeDecodeError as error:
            raise Refusal(400, "BadOffer", "the offer is not UTF-8") from error
        if not offer.strip():
            raise Refusal(400, "BadOffer", "the offer is empty")
        connections = self._agent.connections
        connection_id, answer = await connections.connect_whep(grant, offer_sdp=offer)
        headers = {CONNECTION_HEADER: connection_id, "Location": f"/whep/{connection_id}"}
        return web.Response(status=201, text=answer, content_type=_SDP, headers=headers)

    async def _trickle(self, request: web.Request) -> web.Response:
        self._require_connection(request)
        # The client's candidates are dropped: the pod answers where its checks come from.
        await read_body(request, timeout_s=self._timeout_s)
        return web.Response(status=204)

    async def _disconnect(self, request: web.Request) -> web.Response:
        await self._agent.connections.disconnect(self._require_connection(request))
        return web.Response(status=200)

    def _require_connection(self, request: web.Request) -> str:
        self._agent.authorize_connection(bearer_token(request))
        connection_id = request.match_info["id"]
        if not self._agent.connections.has(connection_id):
            raise Refusal(404, "NoSuchConnection", "the connection has ended; POST a new offer")
        return connection_id
