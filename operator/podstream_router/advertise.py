"""Owns the addresses under which clients reach the media port.

Names are resolved when the router starts and again every 30 s, because a Service may get another
address; a name that cannot be resolved keeps the addresses it had.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from podstream_router.sdp import MediaAddress
from podstream_router.settings import split_address

logger = logging.getLogger(__name__)

REFRESH_S: Final = 30.0
MAX_PER_NAME: Final = 4
"""Addresses taken of one name: each is a candidate that clients check."""

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""From a host name to its IP addresses; raises OSError."""


async def resolve_host(host: str) -> list[str]:
    """Ask the system's resolver for the UDP addresses of a name.

    Raises:
        OSError: the name does not resolve.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class Advertised:
    """The current addresses, the most preferred first."""

    def __init__(self, targets: Sequence[str], *, resolve: Resolver = resolve_host) -> None:
        self._targets = [split_address(item, variable="media advertise") for item in targets]
        self._resolve = resolve
        self._known: dict[str, tuple[str, ...]] = {}

    @property
    def addresses(self) -> tuple[MediaAddress, ...]:
        """All addresses, each once; empty while no name has ever been resolved."""
        return tuple(
            dict.fromkeys(
                MediaAddress(ip, port)
                for host, port in self._targets
                for ip in self._known.get(host, ())
            )
        )

    async def refresh(self) -> None:
        """Resolve every name once."""
        for host, _ in self._targets:
            try:
                self._known[host] = (str(ipaddress.ip_address(host)),)
                continue
            except ValueError:
                pass
            try:
                found = await self._resolve(host)
            except OSError as error:
                logger.warning(
                    "media address cannot be resolved: check router.media.advertise",
                    extra={"host": host, "cause": str(error), "kept": self._known.get(host, ())},
                )
                continue
            addresses = tuple(found[:MAX_PER_NAME])
            if addresses != self._known.get(host):
                self._known[host] = addresses
                logger.info("media address", extra={"host": host, "addresses": addresses})

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh()
