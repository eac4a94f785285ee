"""Reads the head of a connection's first HTTP/1.1 request (RFC 9112), and nothing after it.

The router needs the path alone; the pod gets every byte as it came and judges the rest itself. So
this is strict about the form and knows nothing of bodies. No sockets: bytes in, values out.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from podstream_router.errors import BadRequest, HeadTooLarge, UnsupportedVersion

MAX_HEAD_BYTES: Final = 16 * 1024
"""Request line and headers; servers commonly take 8 KiB or a little more."""
_END: Final = b"\r\n\r\n"
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rf"({_TOKEN}) ([\x21-\x7e]+) HTTP/(\d)\.(\d)\Z")
_FIELD: Final = re.compile(rf"({_TOKEN}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\Z")
_STARTS_LIKE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*(\Z| )")
_TLS: Final = b"\x16"


class NotHttp(ConnectionError):
    """The client speaks something else; the message says what to do. No answer would be read."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head."""

    method: str
    url: SplitResult
    """Path and query as the client wrote them."""
    headers: dict[str, str]
    """By their lower-case names; of several with one name the last."""

    @property
    def is_upgrade(self) -> bool:
        """Whether the client asks for a WebSocket (RFC 6455, 4.1)."""
        return is_upgrade(self.headers.get("upgrade"))


def is_upgrade(upgrade: str | None) -> bool:
    """Whether an `Upgrade` header asks for a WebSocket."""
    return "websocket" in {item.strip().lower() for item in (upgrade or "").split(",")}


def read_head(seen: bytes) -> Head | None:
    """The head that a connection begins with; `None` while it is not complete.

    Args:
        seen: all that has come so far.

    Raises:
        NotHttp: this becomes no HTTP.
        Refusal: it cannot be read, is too large, or of another version.
    """
    if seen[:1] == _TLS:
        raise NotHttp("TLS on a port without a certificate: set router.tls.secretName")
    if not _STARTS_LIKE.match(seen[:32]):
        raise NotHttp("the connection does not begin with an HTTP request")
    end = seen.find(_END, 0, MAX_HEAD_BYTES + len(_END))
    if end < 0:
        if len(seen) > MAX_HEAD_BYTES:
            raise HeadTooLarge(f"the request's head may have {MAX_HEAD_BYTES} bytes")
        return None
    line, *fields = seen[:end].decode("latin-1").split("\r\n")
    return _parse(line, fields)


def _parse(line: str, fields: list[str]) -> Head:
    found = _REQUEST_LINE.match(line)
    if found is None:
        raise BadRequest("the request line cannot be read: METHOD path HTTP/1.1")
    method, target, major, _minor = found.groups()
    if major != "1":
        raise UnsupportedVersion("this port speaks HTTP/1.1 (also for WebSockets)")
    headers: dict[str, str] = {}
    for text in fields:
        field = _FIELD.match(text)
        if field is None:
            raise BadRequest("a header line cannot be read: Name: value")
        headers[field[1].lower()] = field[2].strip(" \t")
    try:
        url = urlsplit(target)
    except ValueError as error:
        raise BadRequest(f"the request's target cannot be read: {error}") from error
    return Head(method, url, headers)
