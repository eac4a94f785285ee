"""The HTTP side that all handlers share: bodies, errors, CORS, and bounds on slow clients."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from podstream_core.api import PoolKey, SessionKey
from podstream_core.names import SESSION_HEADER, SHA256_HEADER, TOKEN_HEADER
from podstream_router.errors import (
    BadRequest,
    Refusal,
    RequestTimeout,
    TooLarge,
    UnknownPool,
    UnknownSession,
    UnsupportedMediaType,
)

logger = logging.getLogger(__name__)

TOKEN_QUERY: Final = "token"
"""Where a URL carries the token, for players that send no headers of their own."""
HEADER_TIMEOUT_S: Final = 15.0
"""A connection without a complete request head for this long is closed; also the keep-alive."""
BODY_TIMEOUT_S: Final = 10.0
LINGER_S: Final = 2.0
"""How long the rest of a refused body is read, so that the client sees the refusal."""
_ALLOWED_METHODS: Final = "GET, POST, PATCH, DELETE, OPTIONS"
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, If-Match, If-Range, Range"
_EXPOSED_HEADERS: Final = (
    f"Location, ETag, Link, Retry-After, WWW-Authenticate, {SESSION_HEADER}, {TOKEN_HEADER}, "
    f"{SHA256_HEADER}, Accept-Ranges, Content-Range"
)

DOCUMENTATION: Final = """podstream router

Play a session's stream:    POST   /s/{namespace}/{session}/whep      (WHEP, application/sdp)
Publish to a session:       POST   /s/{namespace}/{session}/whip      (WHIP, application/sdp)
Read a session's results:   GET    /s/{namespace}/{session}/results
Read a file of them:        GET    /s/{namespace}/{session}/results/{file}
Look on in a browser:       GET    /s/{namespace}/{session}/mjpeg     (also ?token=<view token>)
Look on, raw frames:        GET    /s/{namespace}/{session}/frames
Follow a tracking session:  GET    /s/{namespace}/{session}/client    (WebSocket; ?token=<token>)
Play a stream of your own:  POST   /p/{namespace}/{pool}/whep         (a new session of the pool)

Dashboard for browsers:      GET    /ui/

Send the session's or the pool's token as 'Authorization: Bearer <token>'. See docs/architecture.md
of the project.
"""


def session_key(request: web.Request) -> SessionKey:
    """The session that a path names.

    Raises:
        UnknownSession: no session can have this name.
    """
    info = request.match_info
    try:
        return SessionKey.parse(f"{info['namespace']}/{info['session']}")
    except ValueError as error:
        raise UnknownSession(f"{error}: the path is /s/<namespace>/<session>/...") from error


def pool_key(request: web.Request) -> PoolKey:
    """The pool that a path names.

    Raises:
        UnknownPool: no pool can have this name.
    """
    info = request.match_info
    try:
        return PoolKey(*SessionKey.parse(f"{info['namespace']}/{info['pool']}"))
    except ValueError as error:
        raise UnknownPool(f"{error}: the path is /p/<namespace>/<pool>/...") from error


def client_address(request: web.Request) -> str:
    """The peer's IP address, for limits and logs."""
    return request.remote or "unknown"


async def read_text(request: web.Request, *, content_type: str, limit: int) -> str:
    """Read a small text body.

    Raises:
        Refusal: another type, too large, too slow or not UTF-8.
    """
    if request.content_type != content_type:
        raise UnsupportedMediaType(f"send the body as Content-Type: {content_type}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without Content-Encoding")
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the body may have {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(f"the body may have {limit} bytes")
    except TimeoutError as error:
        raise RequestTimeout(f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from error
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8") from error


def error_response(refusal: Refusal) -> web.Response:
    """JSON for a refusal."""
    return web.json_response(
        {"error": refusal.error, "message": refusal.message, **refusal.details},
        status=refusal.status,
        headers=dict(refusal.headers),
    )


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal, aiohttp's own included, as JSON."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return error_response(refusal)
    except web.HTTPException as error:
        return _from_aiohttp(request, error)
    except Exception:
        logger.exception("request failed", extra={"path": request.path})
        return error_response(Refusal("the router failed: see its log"))


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    message = {
        HTTPStatus.NOT_FOUND: f"nothing is at {request.path}: see / for what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here",
    }.get(HTTPStatus(error.status), error.reason)
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    name = HTTPStatus(error.status).phrase.title().replace(" ", "")
    return web.json_response({"error": name, "message": message}, status=error.status, headers=kept)


def cors(origin: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Lets pages of other origins use the session paths; for every answer, before its head goes."""

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if request.path.startswith(("/s/", "/p/")):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
            if origin != "*":
                response.headers["Vary"] = "Origin"

    return add_headers


async def preflight(_request: web.Request) -> web.Response:
    """Answer OPTIONS, with or without CORS; never asks for a token."""
    return web.Response(
        headers={
            "Accept-Post": "application/sdp",
            "Allow": _ALLOWED_METHODS,
            "Access-Control-Allow-Methods": _ALLOWED_METHODS,
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Max-Age": "86400",
        }
    )


async def documentation(request: web.Request) -> web.Response:
    """What there is; a browser is taken to the dashboard."""
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(status=302, headers={"Location": "/ui/", "Vary": "Accept"})
    return web.Response(text=DOCUMENTATION, headers={"Vary": "Accept"})


def build_app(*, cors_origin: str) -> web.Application:
    """An application with the shared middlewares and `/`."""
    app = web.Application(middlewares=[refusals])
    app.on_response_prepare.append(cors(cors_origin))
    app.router.add_get("/", documentation)
    return app


def _is_not_junk(record: logging.LogRecord) -> bool:
    """Keep what no HTTP parser can read out of the log: any port scan makes a traceback."""
    fault = record.exc_info[1] if record.exc_info else None
    return not isinstance(fault, HttpProcessingError)


class _TooMany(asyncio.Protocol):
    """Closes a connection that finds no place."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class HttpServer:
    """Serves one application on any number of sockets, with bounds on connections and time."""

    def __init__(self, app: web.Application, *, max_connections: int) -> None:
        protocol_logger = logging.getLogger(f"{__name__}.protocol")
        protocol_logger.addFilter(_is_not_junk)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=protocol_logger,
            handle_signals=False,
            # A client that hangs up while it is held frees its place.
            handler_cancellation=True,
            keepalive_timeout=HEADER_TIMEOUT_S,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )
        self._max_connections = max_connections
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Prepare the application."""
        await self._runner.setup()

    async def listen(self, host: str, port: int) -> int:
        """Open a socket; return its port.

        Raises:
            OSError: the port cannot be bound.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self._new_protocol, host, port, backlog=512, family=_family(host)
        )
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    def _new_protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or self.open_connections >= self._max_connections:
            return _TooMany()
        return server()

    @property
    def open_connections(self) -> int:
        """TCP connections that are open."""
        server = self._runner.server
        return len(server.connections) if server is not None else 0

    def stop_accepting(self) -> None:
        """Close the sockets; open connections go on."""
        for server in self._servers:
            server.close()

    async def close(self, *, drain_s: float) -> None:
        """Let running requests end, up to a limit, and close every connection."""
        self.stop_accepting()
        server = self._runner.server
        if server is not None:
            server.pre_shutdown()
            await server.shutdown(drain_s)
        await self._runner.cleanup()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
