"""Engine.IO behind aiohttp: what python-engineio leaves to whoever serves it.

* A polling request's body is read whole: the library reads what has arrived so far.
* A message over `max_http_buffer_size` ends its socket without a word: it is reported here.
* A poll under way ends when its client says goodbye, instead of up to 45 s later.
* Connections that never become a Socket.IO client are counted too, and refused beyond a number.
* A socket whose session is over does not go on sending: its transport is cut.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import socketio
from aiohttp import WSCloseCode, web

logger = logging.getLogger(__name__)

_SPARE: Final = 2
"""Engine.IO sockets per allowed Socket.IO client: some are still saying hello."""
_CUT_AFTER_S: Final = 2.0
"""Between the end of a session and cutting its transport, if the peer has not closed it."""


class _Body:
    """What engine.io reads a request's body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, length: int) -> bytes:
        return self._body[:length]


class _WholeRequest:
    """A request whose body has arrived; everything else is the request's own."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self._request = request
        self.content = _Body(body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


class EngineRoute:
    """The route `/socket.io/` of one Socket.IO server."""

    def __init__(
        self,
        sio: socketio.AsyncServer,
        *,
        max_clients: int,
        on_oversize: Callable[[str], None],
    ) -> None:
        """`on_oversize` is called with the Engine.IO id of a socket that sent too long a message.

        The id is empty where the socket did not begin by polling.
        """
        self._sio = sio
        self._max_sockets = max_clients * _SPARE
        self._on_oversize = on_oversize
        self._transports: dict[str, asyncio.Transport] = {}
        self._live: set[asyncio.Transport] = set()
        self._cuts: set[asyncio.TimerHandle] = set()

    def add_to(self, app: web.Application) -> None:
        """Serve Engine.IO at its default path, until the application shuts down."""
        app.router.add_route("*", "/socket.io/", self._serve)
        app.on_shutdown.append(self._hang_up)

    def note(self, sid: str, request: web.Request) -> None:
        """Know the transport of a socket that began as a WebSocket; call it at its `connect`."""
        if "upgrade" in request.headers.get("Connection", "").lower() and request.transport:
            self._transports[sid] = request.transport

    def cut(self, sid: str) -> None:
        """See to it that this socket's transport is gone soon; call it at its `disconnect`."""
        socket = self._sio.eio.sockets.get(sid)
        if socket is not None:
            socket.queue.put_nowait(None)  # ends a poll under way, which the library leaves hanging
        transport = self._transports.pop(sid, None)
        if transport is None or transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        handle = loop.call_later(_CUT_AFTER_S, self._abort, transport)
        self._cuts.add(handle)

    def close(self) -> None:
        """Forget pending cuts."""
        for handle in self._cuts:
            handle.cancel()
        self._cuts.clear()

    async def _hang_up(self, _: web.Application) -> None:
        """Cut every connection.

        Without Engine.IO's own goodbye: stock clients take that for the end and never come back,
        but reconnect where a connection breaks, and the edge will be there again.
        """
        for socket in list(self._sio.eio.sockets.values()):
            await socket.queue.put(None)  # ends a poll under way
        for transport in list(self._live):
            transport.abort()

    def _abort(self, transport: asyncio.Transport) -> None:
        self._cuts = {handle for handle in self._cuts if not handle.cancelled()}
        if not transport.is_closing():
            transport.abort()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        sid = request.query.get("sid", "")
        eio = self._sio.eio
        if not sid and len(eio.sockets) >= self._max_sockets:
            return web.json_response({"code": 5, "message": "Too many connections"}, status=503)
        if request.method == "POST":
            return await self._post(request, sid)
        upgrade = "upgrade" in request.headers.get("Connection", "").lower()
        if upgrade and sid in eio.sockets and request.transport is not None:
            self._transports[sid] = request.transport
        response = await self._held(request)
        if isinstance(response, web.WebSocketResponse):
            # A peer in the middle of its message does not answer the closing: then only the
            # exception tells.
            codes = {response.close_code, getattr(response.exception(), "code", None)}
            if WSCloseCode.MESSAGE_TOO_BIG in codes:
                self._on_oversize(sid)
        self._transports.pop(sid, None)
        return _checked(response)

    async def _held(self, request: web.Request) -> Any:
        """Answer a poll or serve a WebSocket; its transport is known meanwhile."""
        transport = request.transport
        if transport is None:
            return await self._sio.eio.handle_request(request)
        self._live.add(transport)
        try:
            return await self._sio.eio.handle_request(request)
        finally:
            self._live.discard(transport)

    async def _post(self, request: web.Request, sid: str) -> web.StreamResponse:
        limit = self._sio.eio.max_http_buffer_size
        length = request.content_length
        if length is None or length > limit:
            self._on_oversize(sid)
            return web.json_response({"code": 3, "message": "Bad request"}, status=413)
        body = await request.content.readexactly(length) if length else b""
        return _checked(await self._sio.eio.handle_request(_WholeRequest(request, body)))


def _checked(response: Any) -> web.StreamResponse:
    if isinstance(response, web.StreamResponse):
        return response
    logger.debug("engine.io answered with %r", type(response))
    return web.json_response({"code": 3, "message": "Bad request"}, status=400)
