"""An HTTP port that junk cannot fill: connections, header time and body size are bounded.

aiohttp bounds the size of headers and bodies but waits for ever for a peer that sends them slowly
and accepts any number of connections. Here every connection has a deadline whenever it owes the
server a request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import Counter

from podstream_core.agentapi import ErrorBody
from podstream_core.api.base import ApiValue
from podstream_workloads.agent.errors import Refusal

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BodyT = TypeVar("BodyT", bound=ApiValue)

SHUTDOWN_TIMEOUT_S: Final = 0.5
"""Answers that are being written may still leave; the pod has 10 s in all."""
_KEEPALIVE_S: Final = 60.0
_LINGERING_S: Final = 2.0
"""How long a refused body is read and thrown away, so that its sender sees the answer."""
_BEARER: Final = "bearer "


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """A scan must not fill the log: aiohttp writes a traceback for each request that is no HTTP."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_SERVER_LOGGER: Final = logging.getLogger(f"{__name__}.aiohttp")
_SERVER_LOGGER.addFilter(_is_worth_a_line)


class _GuardedConnection(asyncio.Protocol):
    """aiohttp's protocol behind a deadline and a place in the server's count."""

    def __init__(self, server: "HttpServer", handler: web.RequestHandler) -> None:
        self._server = server
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        is_admitted = self._server.enter(self._handler, self)
        self._handler.connection_made(transport)
        if is_admitted:
            self.expect_request(self._server.request_timeout_s)
        else:
            self._server.count_rejected("too many")
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.stop_clock()
        self._server.leave(self._handler)
        self._handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        self._handler.eof_received()
        return None

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    def expect_request(self, within_s: float) -> None:
        """Close the connection unless a whole request head arrives in time."""
        self.stop_clock()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(within_s, self._give_up)

    def stop_clock(self) -> None:
        """A request is being handled: it has a timeout of its own."""
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self) -> None:
        if self._transport is not None:
            self._server.count_rejected("too slow")
            self._transport.abort()


class HttpServer:
    """One listening port and its application."""

    def __init__(
        self,
        name: str,
        *,
        max_body_bytes: int,
        max_connections: int,
        request_timeout_s: float,
        rejected: Counter,
    ) -> None:
        """Prepare a server.

        Args:
            name: of the port, for logs and metrics.
            max_body_bytes: longer bodies are answered with 413.
            max_connections: further connections are closed at once.
            request_timeout_s: for a request's head, and again for its body.
            rejected: counts peers by port and reason.
        """
        self._name = name
        self._max_connections = max_connections
        self.request_timeout_s = request_timeout_s
        self._rejected = rejected
        self._connections: dict[object, _GuardedConnection] = {}
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self.app = web.Application(
            client_max_size=max_body_bytes, middlewares=[self._watch_request, _answer_refusals]
        )

    async def open(self, *, host: str | None, port: int) -> int:
        """Listen; return the port number.

        Raises:
            OSError: the port is taken or the address is not ours.
        """
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_LINGERING_S,
            logger=_SERVER_LOGGER,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        await self._runner.setup()
        make_handler = self._runner.server
        assert make_handler is not None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _GuardedConnection(self, make_handler()), host, port
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, let answers leave, close all connections."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def enter(self, handler: object, connection: _GuardedConnection) -> bool:
        """Count a new connection; whether there is room for it."""
        self._connections[handler] = connection
        return len(self._connections) <= self._max_connections

    def leave(self, handler: object) -> None:
        """A connection is gone."""
        self._connections.pop(handler, None)

    def count_rejected(self, reason: str) -> None:
        """Note a peer that was closed unanswered."""
        self._rejected.labels(self._name, reason).inc()

    @web.middleware
    async def _watch_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = self._connections.get(request.protocol)
        if connection is not None:
            connection.stop_clock()
        try:
            return await handler(request)
        finally:
            if connection is not None:
                connection.expect_request(_KEEPALIVE_S + self.request_timeout_s)


@web.middleware
async def _answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal has one form, also aiohttp's own."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refuse(refusal.status, refusal.body)
    except web.HTTPRequestEntityTooLarge as error:
        return _refuse(413, ErrorBody(error="BodyTooLarge", message=str(error.text)))
    except web.HTTPException as error:
        if error.status < 400:  # noqa: PLR2004 - not an error
            raise
        code = "".join(word.capitalize() for word in (error.reason or "Error").split())
        return _refuse(error.status, ErrorBody(error=code, message=f"{request.path}: {code}"))


def _refuse(status: int, body: ErrorBody) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # noqa: PLR2004
    response = answer(body, status=status, headers=headers)
    if status == 408:  # noqa: PLR2004 - a peer that owes half a body
        response.force_close()
    return response


def answer(
    value: ApiValue, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A value as JSON, without its unset members."""
    body = msgspec.json.encode(value.to_body())
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def bearer_token(request: web.Request) -> str:
    """The request's bearer token.

    Raises:
        Refusal: there is none.
    """
    header = request.headers.get("Authorization", "")
    if not header.lower().startswith(_BEARER):
        raise Refusal(401, "InvalidToken", "send the header Authorization: Bearer <token>")
    return header[len(_BEARER) :].strip()


async def read_body(request: web.Request, *, timeout_s: float) -> bytes:
    """The request's body.

    Raises:
        Refusal: it does not arrive in time; the answer closes the connection.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError as error:
        raise Refusal(408, "TooSlow", f"the body did not arrive within {timeout_s:g} s") from error


async def read_value(request: web.Request, kind: type[BodyT], *, timeout_s: float) -> BodyT:
    """The request's JSON body as a value.

    Raises:
        Refusal: too slow, no JSON, or not of this form.
    """
    body = await read_body(request, timeout_s=timeout_s)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Refusal(400, "BadRequest", f"the body cannot be read: {error}") from error
