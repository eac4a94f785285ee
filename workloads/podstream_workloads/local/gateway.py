"""Plays the router on 127.0.0.1: WHEP and WHIP by HTTP; all that the router splices by TCP.

Same URLs, tokens and waiting as the real one. Media needs no relay here: the pod's candidates are
reachable from the same machine.
"""

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import re
import secrets
from typing import Any, Final, TypeAlias

import aiohttp
from aiohttp import web

from podstream_core.agentapi import ANONYMOUS, ConnectionGrant, ErrorBody, Protocol
from podstream_core.api import AccessMode, StreamSession
from podstream_core.names import CONNECTION_HEADER, MJPEG_TYPE
from podstream_core.tokens import (
    CLIENT_AUDIENCE,
    PublicKeys,
    SigningKey,
    TokenError,
    TokenType,
    pod_audience,
)
from podstream_workloads.agent.runtime import BoundPorts
from podstream_workloads.local.web import read_first

logger = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
HOLD_TIMEOUT_S: Final = 60.0
"""How long a connection waits for the session to become ready."""
RETRY_PERIOD_S: Final = 0.1
MAX_SDP_BYTES: Final = 64 * 1024
_ROLES: Final = {
    Protocol.WHEP: {"circle": "player", "stream": "viewer"},
    Protocol.WHIP: {"circle": "player", "stream": "publisher", "tracking": "publisher"},
    Protocol.SIGNALLING: {"circle": "player"},
    Protocol.GRPC: {"imageOps": "caller"},
    Protocol.TCP: {"stream": "publisher"},
    Protocol.MJPEG: {"stream": "viewer"},
    Protocol.VIEW: {"stream": "viewer"},
    Protocol.HTTP: {"tracking": "caller"},
}
"""Workload to role, per protocol; the session's first workload that speaks it is meant."""
_VIEWS: Final = {
    Protocol.MJPEG: ("mjpeg", MJPEG_TYPE),
    Protocol.VIEW: ("frames", "application/octet-stream"),
}
"""Last part of a viewer's path, and the type of what it gets."""
_CANDIDATE: Final = re.compile(r"^a=(candidate:|end-of-candidates).*(\r?\n|\Z)", re.MULTILINE)
_CHUNK_BYTES: Final = 64 * 1024
_PREAMBLE_TIMEOUT_S: Final = 10.0
_HTTP_TOO_EARLY: Final = 425


class Gateway:
    """The session's endpoints on this machine."""

    def __init__(
        self,
        session: StreamSession,
        *,
        pod_uid: str,
        agent_ports: BoundPorts,
        pod_key: SigningKey,
        client_key: SigningKey,
    ) -> None:
        """Prepare the endpoints.

        Args:
            session: what is served.
            pod_uid: of the agent behind the endpoints.
            agent_ports: where the agent listens.
            pod_key: signs connection tokens, as the router's assignment key does.
            client_key: signed the client's token.
        """
        self._session = session
        self._pod_uid = pod_uid
        self._ports = agent_ports
        self._pod_key = pod_key
        self._client_keys = PublicKeys.of(client_key)
        self._http: aiohttp.ClientSession | None = None

    @property
    def path(self) -> str:
        """Path of the session's WHEP or WHIP endpoint."""
        return self._path(self.protocol)

    @property
    def base(self) -> str:
        """What the paths of all endpoints begin with."""
        meta = self._session.metadata
        return f"/s/{meta.namespace}/{meta.name}"

    @property
    def protocol(self) -> Protocol:
        """How the session's WebRTC clients connect: they play, or publish."""
        return Protocol.WHIP if self._session.spec.is_published else Protocol.WHEP

    def _path(self, protocol: Protocol) -> str:
        return f"{self.base}/{protocol.value.lower()}"

    async def open(self, stack: contextlib.AsyncExitStack, *, port: int) -> int:
        """Serve WHEP and WHIP until the stack is closed; return the port.

        Raises:
            OSError: the port is taken.
        """
        self._http = await stack.enter_async_context(
            aiohttp.ClientSession(f"http://{HOST}:{self._ports.connect}")
        )
        app = web.Application(client_max_size=MAX_SDP_BYTES)
        for protocol in (Protocol.WHEP, Protocol.WHIP):
            path = self._path(protocol)
            app.router.add_post(path, functools.partial(self._connect, protocol))
            app.router.add_patch(path + "/{id}", functools.partial(self._forward, protocol))
            app.router.add_delete(path + "/{id}", functools.partial(self._forward, protocol))
        for protocol, (name, _) in _VIEWS.items():
            app.router.add_get(f"{self.base}/{name}", functools.partial(self._view, protocol))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, port).start()
        return int(runner.addresses[0][1])

    async def open_signalling(self, stack: contextlib.AsyncExitStack, *, port: int) -> int:
        """Serve newline-JSON signalling until the stack is closed; return the port.

        Raises:
            OSError: the port is taken.
        """
        return await self._open_tcp(stack, Protocol.SIGNALLING, port=port)

    async def open_grpc(self, stack: contextlib.AsyncExitStack, *, port: int) -> int:
        """Serve gRPC until the stack is closed; return the port. No token is asked for here.

        Raises:
            OSError: the port is taken.
        """
        return await self._open_tcp(stack, Protocol.GRPC, port=port)

    async def open_frames(self, stack: contextlib.AsyncExitStack, *, port: int) -> int:
        """Take raw frames until the stack is closed; return the port.

        Raises:
            OSError: the port is taken, or below 1024 and this process no root.
        """
        return await self._open_tcp(stack, Protocol.TCP, port=port)

    async def open_web(self, stack: contextlib.AsyncExitStack, *, port: int) -> int:
        """Serve tracking at `/` until the stack is closed; return the port. No token is asked for.

        Raises:
            OSError: the port is taken.
        """
        server = await asyncio.start_server(self._serve_web, HOST, port)
        await stack.enter_async_context(server)
        return int(server.sockets[0].getsockname()[1])

    async def _open_tcp(
        self, stack: contextlib.AsyncExitStack, protocol: Protocol, *, port: int
    ) -> int:
        server = await asyncio.start_server(functools.partial(self._splice, protocol), HOST, port)
        await stack.enter_async_context(server)
        return int(server.sockets[0].getsockname()[1])

    # -- WHEP, WHIP ------------------------------------------------------------------------------

    async def _connect(self, protocol: Protocol, request: web.Request) -> web.Response:
        try:
            holder = self._authorize(request)
        except TokenError as error:
            return _refuse(401, "InvalidToken", str(error))
        # The pod never learns a client's candidates: it answers where checks come from.
        offer = _CANDIDATE.sub("", await request.text())
        assert self._http is not None
        deadline = asyncio.get_running_loop().time() + HOLD_TIMEOUT_S
        while True:
            headers = {
                "Authorization": f"Bearer {self._token(protocol, holder=holder)}",
                "Content-Type": request.content_type,
            }
            async with self._http.post("/whep", data=offer, headers=headers) as response:
                body = await response.read()
                is_early = response.status == _HTTP_TOO_EARLY
                if not is_early or asyncio.get_running_loop().time() > deadline:
                    return self._answer(protocol, response, body)
            await asyncio.sleep(RETRY_PERIOD_S)

    def _answer(
        self, protocol: Protocol, response: aiohttp.ClientResponse, body: bytes
    ) -> web.Response:
        answer = web.Response(status=response.status, body=body, content_type=response.content_type)
        connection = response.headers.get(CONNECTION_HEADER)
        if connection is not None:
            answer.headers["Location"] = f"{self._path(protocol)}/{connection}"
        return answer

    async def _forward(self, protocol: Protocol, request: web.Request) -> web.Response:
        try:
            holder = self._authorize(request)
        except TokenError as error:
            return _refuse(401, "InvalidToken", str(error))
        assert self._http is not None
        headers = {"Authorization": f"Bearer {self._token(protocol, holder=holder)}"}
        path = f"/whep/{request.match_info['id']}"
        async with self._http.request(request.method, path, headers=headers) as response:
            return self._answer(protocol, response, await response.read())

    def _authorize(self, request: web.Request) -> str:
        """Holder of the slot: digest of the client's token, random where access is public."""
        if self._session.spec.access.mode is AccessMode.PUBLIC:
            return ANONYMOUS + secrets.token_hex(16)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenError("send the header Authorization: Bearer <token>")
        claims = self._client_keys.verify(
            token.strip(), kind=TokenType.CLIENT, audience=CLIENT_AUDIENCE
        )
        if claims["sub"] != self._session.metadata.uid:
            raise TokenError("the token is for another session")
        return hashlib.sha256(token.strip().encode()).hexdigest()

    def _token(self, protocol: Protocol, *, holder: str, role: str | None = None) -> str:
        uid = self._session.metadata.uid
        roles = _ROLES[protocol]
        named = (name for name in self._session.spec.reached_workloads if name in roles)
        workload = next(named, next(iter(roles)))
        grant = ConnectionGrant(
            session_uid=uid,
            workload=workload,
            role=role or roles[workload],
            protocol=protocol,
            holder=holder,
            client_address=HOST,
        )
        return self._pod_key.sign(
            TokenType.CONNECTION,
            audience=pod_audience(self._pod_uid),
            subject=uid,
            claims=grant.to_body(),
        )

    # -- viewers ---------------------------------------------------------------------------------

    async def _view(self, protocol: Protocol, request: web.Request) -> web.StreamResponse:
        try:
            self._authorize(request)
            reader, writer = await self._open_stream(protocol)
        except TokenError as error:
            return _refuse(401, "InvalidToken", str(error))
        except (OSError, TimeoutError) as error:
            return _refuse(503, "Busy", str(error))
        try:
            response = web.StreamResponse(headers={"Content-Type": _VIEWS[protocol][1]})
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(_CHUNK_BYTES):
                    await response.write(chunk)
        finally:
            writer.close()
        return response

    # -- TCP -------------------------------------------------------------------------------------

    async def _splice(
        self, protocol: Protocol, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            pod_reader, pod_writer = await self._open_stream(protocol)
        except (OSError, TimeoutError, ConnectionRefusedError) as error:
            logger.warning("%s client refused: %s", protocol.value, error)
            writer.close()
            return
        await _join((reader, writer), (pod_reader, pod_writer))

    async def _serve_web(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await read_first(reader)
            pod_reader, pod_writer = await self._open_stream(Protocol.HTTP, role=first.role)
        except (OSError, TimeoutError) as error:
            logger.warning("HTTP client refused: %s", error)
            writer.close()
            return
        pod_writer.write(first.head)
        await _join((reader, writer), (pod_reader, pod_writer))

    async def _open_stream(
        self, protocol: Protocol, *, role: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        holder = ANONYMOUS + secrets.token_hex(16)
        deadline = asyncio.get_running_loop().time() + HOLD_TIMEOUT_S
        while True:
            token = self._token(protocol, holder=holder, role=role)
            reader, writer = await asyncio.open_connection(HOST, self._ports.stream)
            writer.write(json.dumps({"token": token}).encode() + b"\n")
            async with asyncio.timeout(_PREAMBLE_TIMEOUT_S):
                reply: dict[str, Any] = json.loads(await reader.readline() or b"{}")
            if reply.get("ok"):
                return reader, writer
            writer.close()
            is_early = reply.get("error") == "NotReady"
            if not is_early or asyncio.get_running_loop().time() > deadline:
                raise ConnectionRefusedError(reply.get("message", "the agent has ended"))
            await asyncio.sleep(RETRY_PERIOD_S)


_Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(client: _Ends, pod: _Ends) -> None:
    """Pass everything both ways until one side ends; closes both."""
    pumps = [
        asyncio.create_task(_pump(client[0], pod[1])),
        asyncio.create_task(_pump(pod[0], client[1])),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)
        pod[1].close()
        client[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()


def _refuse(status: int, error: str, message: str) -> web.Response:
    body = ErrorBody(error=error, message=message).to_body()
    return web.json_response(body, status=status)
