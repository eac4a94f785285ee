"""A tracking session at `/` of a port, as a listener of the router serves it.

Only the head of a connection's first request is read, for the role that it takes; from then on the
two connections are joined.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from podstream_core.web_roles import role_of

_MAX_HEAD_BYTES: Final = 16 * 1024
_HEAD_TIMEOUT_S: Final = 15.0


class NoRequest(ConnectionError):
    """The client said nothing that begins like HTTP, or too slowly."""


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """What a connection begins with."""

    head: bytes
    """As it came."""
    role: str


async def read_first(reader: asyncio.StreamReader) -> FirstRequest:
    """Read the first request's head.

    Raises:
        NoRequest: there is none.
    """
    try:
        async with asyncio.timeout(_HEAD_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as error:
        raise NoRequest(f"no HTTP request: {type(error).__name__}") from error
    first, *fields = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or len(head) > _MAX_HEAD_BYTES:  # noqa: PLR2004 - method, target, version
        raise NoRequest("no HTTP request line")
    headers = (field.lower().partition(":") for field in fields)
    asks = any(name == "upgrade" and "websocket" in value for name, _, value in headers)
    return FirstRequest(head, role_of(words[1].partition("?")[0], is_upgrade=asks))
