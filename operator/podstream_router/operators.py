"""Posts to the operator: to every address of its Service, because only the leader listens."""

import asyncio
import logging
import socket
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

logger = logging.getLogger(__name__)

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2, sock_connect=1)
_RESOLVED_FOR_S: Final = 2.0
"""A new leader's pod is in the DNS within about this time anyway."""
_REDIRECT: Final = 300
_FOLLOWER: Final = 503


class Operators:
    """The operator's replicas behind one URL."""

    def __init__(self, http: aiohttp.ClientSession, *, url: str) -> None:
        """`url`: base URL, such as `http://podstream-operator:8081`."""
        self._http = http
        self._url = url
        self._bases: list[str] = []
        self._slow: set[asyncio.Task[bool]] = set()
        self._resolved_at = -_RESOLVED_FOR_S

    async def post(self, path: str, body: Mapping[str, Any]) -> bool:
        """Post to every replica; whether one of them took it.

        Returns as soon as one has: a dead replica holds nothing up.
        """
        bases = await self._addresses()
        calls = {asyncio.create_task(self._post(f"{base}{path}", body)) for base in bases}
        self._slow |= calls
        for call in calls:
            call.add_done_callback(self._slow.discard)
        while calls:
            done, calls = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            if any(call.result() for call in done):
                return True
        return False

    async def close(self) -> None:
        """Give up what is under way."""
        for call in self._slow:
            call.cancel()
        await asyncio.gather(*self._slow, return_exceptions=True)

    async def _post(self, url: str, body: Mapping[str, Any]) -> bool:
        try:
            async with self._http.post(url, json=body, timeout=_TIMEOUT) as response:
                if response.status >= _REDIRECT and response.status != _FOLLOWER:
                    logger.debug("operator refuses", extra={"url": url, "status": response.status})
                return response.status < _REDIRECT
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            cause = str(error) or type(error).__name__
            logger.debug("operator not reached", extra={"url": url, "cause": cause})
            return False

    async def _addresses(self) -> list[str]:
        now = time.monotonic()
        if not self._bases or now - self._resolved_at >= _RESOLVED_FOR_S:
            self._bases, self._resolved_at = await _resolve(self._url), now
        return self._bases


async def _resolve(url: str) -> list[str]:
    """Base URLs of all addresses of a host; of the host itself where that is not possible."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        return [url]  # a certificate names the host, not its addresses
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_TIMEOUT.total):
            found = await loop.getaddrinfo(
                parts.hostname, parts.port or 80, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError) as error:
        logger.debug("operator not resolved", extra={"url": url, "cause": str(error)})
        return [url]
    addresses = dict.fromkeys((str(item[4][0]), int(item[4][1])) for item in found)
    return [
        f"http://{f'[{host}]' if ':' in host else host}:{port}{parts.path}"
        for host, port in addresses
    ]
