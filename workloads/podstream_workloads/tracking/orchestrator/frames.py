"""WebSocket frames of a server, RFC 6455 section 5.2: one header, no mask, never compressed."""

from struct import pack
from typing import Final

_FINAL_TEXT: Final = 0x81
_FINAL_CLOSE: Final = 0x88
_SHORT: Final = 126
_MEDIUM: Final = 65536
_MAX_REASON_BYTES: Final = 123  # a control frame carries 125 bytes, two of them the code


def text_frame(payload: bytes) -> bytes:
    """A whole text message, ready for any number of transports."""
    size = len(payload)
    if size < _SHORT:
        return pack("!BB", _FINAL_TEXT, size) + payload
    if size < _MEDIUM:
        return pack("!BBH", _FINAL_TEXT, _SHORT, size) + payload
    return pack("!BBQ", _FINAL_TEXT, _SHORT + 1, size) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A closing message; without a code it has no body, which the other side sees as 1005."""
    if code is None:
        return pack("!BB", _FINAL_CLOSE, 0)
    body = pack("!H", code) + reason.encode()[:_MAX_REASON_BYTES]
    return pack("!BB", _FINAL_CLOSE, len(body)) + body
