"""WHEP (draft-ietf-wish-whep-03): an offer by POST, the answer in its response, DELETE to leave."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription
from yarl import URL

from podstream_workloads.client.errors import ClientError, Refused, SessionGone, Unreachable
from podstream_workloads.client.signalling import SignallingClient

logger = logging.getLogger(__name__)

_SDP: Final = "application/sdp"
_MAX_BODY: Final = 64 * 1024
_DIAL_TIMEOUT_S: Final = 5.0
_END_TIMEOUT_S: Final = 2.0
_BACKOFF_S: Final = (0.2, 0.4, 0.8, 1.6, 3.0)
"""Pauses between attempts where the server names none; the last one repeats."""
_CREATED: Final = 201
_LATER: Final = frozenset({404, 429, 502, 503, 504})
"""Answers of a session that may come yet: no route, pod or place for it at the moment."""
_ENDED: Final = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    text: str
    url: URL
    location: str | None
    retry_after_s: float | None

    @property
    def refusal(self) -> str:
        """The server's own words."""
        try:
            body = json.loads(self.text)
            return f"HTTP {self.status} {body['error']}: {body['message']}"
        except (ValueError, TypeError, KeyError):
            return f"HTTP {self.status}: {' '.join(self.text.split())[:200] or 'no explanation'}"


class WhepClient(SignallingClient):
    """Signalling by WHEP. The HTTP session stays the caller's."""

    client_offers: ClassVar[bool] = True

    def __init__(
        self,
        url: str,
        *,
        http: aiohttp.ClientSession,
        token: str | None,
        connect_timeout_s: float,
        reconnect_timeout_s: float,
    ) -> None:
        """Bind to a session.

        Args:
            url: WHEP endpoint.
            http: makes the requests.
            token: bearer token, `None` for a public session.
            connect_timeout_s: time for the first offer to be accepted.
            reconnect_timeout_s: time for every later one.
        """
        self._url = URL(url)
        self._http = http
        self._token = token
        self._timeout_s = connect_timeout_s
        self._reconnect_timeout_s = reconnect_timeout_s
        self._accepted = False
        self._resource: URL | None = None

    async def negotiate(self, peer: RTCPeerConnection, *, edit: Callable[[str], str] = str) -> None:
        """Offer until the session accepts (see `SignallingClient`)."""
        await peer.setLocalDescription(await peer.createOffer())
        answer = await self._offer(peer.localDescription.sdp)
        self._accepted = True
        self._timeout_s = self._reconnect_timeout_s
        if answer.location is not None:
            self._resource = answer.url.join(URL(answer.location))
        if answer.content_type != _SDP:
            raise Refused(
                f"{answer.url} answered with {answer.content_type}, not {_SDP}: is it the WHEP "
                "endpoint of a session?"
            )
        try:
            await peer.setRemoteDescription(
                RTCSessionDescription(sdp=edit(answer.text), type="answer")
            )
        except Exception as error:
            # aiortc raises whatever its parser stumbles over; the answer is the server's.
            cause = str(error) or type(error).__name__
            raise Refused(f"the answer of {answer.url} cannot be used: {cause}") from error

    async def end(self) -> None:
        """Delete the connection's resource."""
        resource, self._resource = self._resource, None
        if resource is None:
            return
        # The token is the session's: it goes nowhere else, whatever a Location says.
        headers = self._authorization if resource.origin() == self._url.origin() else {}
        try:
            async with (
                asyncio.timeout(_END_TIMEOUT_S),
                self._http.delete(resource, headers=headers) as response,
            ):
                logger.debug("connection deleted", extra={"status": response.status})
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.debug("connection not deleted", extra={"cause": _cause(error)})

    # -- one offer

    async def _offer(self, sdp: str) -> _Answer:
        """Post until an attempt succeeds, the server says no, or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        attempt = 0
        cause = "no answer"
        while True:
            pause_s = _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]
            attempt += 1
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await self._post(sdp)
            except TimeoutError:
                raise self._unreachable(cause) from None
            except (aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
                raise Refused(f"cannot connect to {self._url}: {_cause(error)}") from error
            except (aiohttp.ClientError, OSError) as error:
                cause = _cause(error)
            else:
                if answer.status == _CREATED:
                    return answer
                self._raise_if_final(answer)
                cause = answer.refusal
                if answer.retry_after_s is not None:
                    pause_s = answer.retry_after_s
            if loop.time() + pause_s >= deadline:
                raise self._unreachable(cause)
            logger.info("not connected yet", extra={"cause": cause, "retry_in_s": pause_s})
            await asyncio.sleep(pause_s)

    async def _post(self, sdp: str) -> _Answer:
        headers = {"Content-Type": _SDP, "Accept": _SDP, **self._authorization}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_DIAL_TIMEOUT_S)
        async with self._http.post(
            self._url, data=sdp.encode(), headers=headers, timeout=timeout
        ) as response:
            return _Answer(
                response.status,
                response.content_type,
                await _read_bounded(response),
                response.url,
                response.headers.get("Location"),
                _seconds(response.headers.get("Retry-After")),
            )

    def _raise_if_final(self, answer: _Answer) -> None:
        if self._accepted and answer.status in _ENDED:
            raise SessionGone(f"the session has ended: {answer.refusal}")
        if answer.status not in _LATER:
            raise Refused(f"{self._url} refused the connection: {answer.refusal}")

    def _unreachable(self, cause: str) -> ClientError:
        hint = (
            "check the session" if self._accepted else "check the URL, or raise --connect-timeout"
        )
        return Unreachable(
            f"{self._url} did not accept the connection within {self._timeout_s:g} s: {cause}; "
            f"{hint}"
        )

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


async def _read_bounded(response: aiohttp.ClientResponse) -> str:
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY:
            raise Refused(f"{response.url} answered with more than {_MAX_BODY} bytes")
    return body.decode("utf-8", "replace")


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in its form of seconds; its form of a date is not used by podstream."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
