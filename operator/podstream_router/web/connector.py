"""An HTTP client for one connection that is open already, past the agent's first line."""

import asyncio
import socket
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

ANSWER_TIMEOUT_S: Final = 60.0
"""Between two pieces of an answer: a pod that works on a picture takes seconds."""


class _Connector(aiohttp.BaseConnector):
    """Gives out one connection, once."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        super().__init__(force_close=True)
        self._sock: socket.socket | None = sock
        self._early = early

    # The one method that aiohttp's own connectors differ in; there is no public way to hand over
    # a socket that is connected.
    async def _create_connection(self, *_: Any) -> ResponseHandler:
        sock, self._sock = self._sock, None
        if sock is None:
            raise aiohttp.ClientConnectionError("the pod's connection was used already")
        loop = asyncio.get_running_loop()
        try:
            made = await loop.create_connection(lambda: ResponseHandler(loop), sock=sock)
        except BaseException:
            sock.close()
            raise
        protocol = made[1]
        if self._early:
            protocol.data_received(self._early)
        return protocol

    def take_back(self) -> None:
        """Close the connection where no request has used it."""
        if self._sock is not None:
            self._sock.close()


class PodClient:
    """One request over one connection."""

    def __init__(self, sock: socket.socket, *, early: bytes = b"") -> None:
        """Prepare.

        Args:
            sock: non-blocking, connected; closed with the client.
            early: what the pod has said already.
        """
        self._connector = _Connector(sock, early)
        self.http = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=ANSWER_TIMEOUT_S),
        )

    async def __aenter__(self) -> aiohttp.ClientSession:
        return self.http

    async def __aexit__(self, *_: object) -> None:
        self._connector.take_back()
        await self.http.close()
