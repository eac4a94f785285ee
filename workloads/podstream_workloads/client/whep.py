"""Signalling as a client sees it: an interface, and WHEP (draft-ietf-wish-whep) over HTTP.

WHIP (RFC 9725) is the same exchange at another URL.
"""

import asyncio
import contextlib
import json
import logging
from abc import ABC, abstractmethod
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from podstream_core.names import SESSION_HEADER, TOKEN_HEADER
from podstream_workloads.client.errors import ClientError, SessionOver, SessionRefused

logger = logging.getLogger(__name__)

_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_MAX_RETRY_AFTER_S = 10.0
_WAIT_FOR = (404, 425, 429, 502, 503)
"""Answers that may change while a session starts or another client leaves."""
_OVER = (410,)


class SignallingClient(ABC):
    """Exchanges one offer for an answer and ends the session's connection."""

    @abstractmethod
    async def exchange(self, offer_sdp: str, *, timeout_s: float) -> str:
        """Send an offer; the server's answer.

        Raises:
            SessionRefused: the server will not change its mind.
            SessionOver: the session has ended.
            ClientError: there was no answer in time.
        """

    @abstractmethod
    async def leave(self) -> None:
        """Tell the server that this client goes; bounded, never raises."""


class WhepClient(SignallingClient):
    """WHEP with a bearer token. Use as an asynchronous context manager."""

    def __init__(self, url: str, *, token: str | None) -> None:
        self._url = url
        self._authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._resource: str | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90, sock_connect=5))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("use WhepClient as a context manager")
        return self._http

    async def exchange(self, offer_sdp: str, *, timeout_s: float) -> str:
        """POST the offer until there is an answer; waits while the session starts or is busy."""
        problem = "no answer"
        attempt = 0
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    wait_s = _BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]
                    try:
                        async with self._session.post(
                            self._url,
                            data=offer_sdp.encode(),
                            headers={"Content-Type": "application/sdp", **self._authorization},
                        ) as reply:
                            text = await reply.text()
                            if reply.status == HTTPStatus.CREATED:
                                self._enter(reply)
                                return text
                            problem = f"{reply.status} {_describe(text)}"
                            if reply.status in _OVER:
                                raise SessionOver(problem)
                            if reply.status not in _WAIT_FOR:
                                raise SessionRefused(f"the server refused: {problem}")
                            wait_s = max(wait_s, _retry_after(reply.headers.get("Retry-After")))
                    except aiohttp.ClientSSLError as error:
                        raise SessionRefused(f"TLS to {self._url} failed: {error}") from error
                    except aiohttp.ClientError as error:
                        problem = str(error) or type(error).__name__
                    if attempt == 0:
                        logger.info("waiting for the session: %s", problem)
                    attempt += 1
                    await asyncio.sleep(wait_s)
        except TimeoutError as error:
            raise ClientError(f"no session within {timeout_s:.0f} s; last: {problem}") from error

    def _enter(self, reply: aiohttp.ClientResponse) -> None:
        self._resource = urljoin(self._url, reply.headers.get("Location", ""))
        if session := reply.headers.get(SESSION_HEADER):
            logger.info("session %s", session)
        if token := reply.headers.get(TOKEN_HEADER):
            # A pool has made a session for this connection: its token leads back to it.
            self._authorization = {"Authorization": f"Bearer {token}"}

    async def leave(self) -> None:
        """DELETE the connection's resource."""
        if self._resource is None:
            return
        resource, self._resource = self._resource, None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            # The token is for the server that it was given for, wherever a Location points.
            is_same = URL(resource).origin() == URL(self._url).origin()
            headers = self._authorization if is_same else {}
            async with asyncio.timeout(3), self._session.delete(resource, headers=headers):
                pass


def _retry_after(value: str | None) -> float:
    try:
        return min(_MAX_RETRY_AFTER_S, max(0.0, float(value or 0)))
    except ValueError:
        return 0.0


def _describe(text: str) -> str:
    """The server's own words: `error: message` of its JSON, else the start of the body."""
    try:
        body = json.loads(text)
        return f"{body['error']}: {body['message']}"
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200]
