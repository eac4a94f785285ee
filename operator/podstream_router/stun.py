"""Reads what the relay needs of a STUN message (RFC 8489): class, transaction, user name.

Nothing is verified here: the pod, not the relay, checks MESSAGE-INTEGRITY.
"""

from struct import Struct
from typing import Final, NamedTuple

HEADER_BYTES: Final = 20
MAGIC_COOKIE: Final = 0x2112A442
BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101
_USERNAME: Final = 0x0006
_MAX_USERNAME: Final = 513
"""Bytes, RFC 8489 section 14.3: fewer than 509 in UTF-8, with padding."""
_HEADER: Final = Struct("!HHI12s")
_ATTRIBUTE: Final = Struct("!HH")


class StunHeader(NamedTuple):
    """Type and transaction id of a message."""

    kind: int
    transaction: bytes


def read_header(data: bytes) -> StunHeader | None:
    """Header of a well-formed STUN message; `None` for anything else."""
    if len(data) < HEADER_BYTES:
        return None
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != MAGIC_COOKIE or kind & 0xC000 or length & 3 or length != len(data) - HEADER_BYTES:
        return None
    return StunHeader(kind, transaction)


def read_local_ufrag(data: bytes) -> str | None:
    """The receiver's half of USERNAME: in `<receiver>:<sender>` what stands before the colon."""
    offset, end = HEADER_BYTES, len(data)
    while offset + _ATTRIBUTE.size <= end:
        kind, length = _ATTRIBUTE.unpack_from(data, offset)
        offset += _ATTRIBUTE.size
        if kind == _USERNAME:
            if length > _MAX_USERNAME or offset + length > end:
                return None
            head, colon, _ = data[offset : offset + length].partition(b":")
            return head.decode("ascii", "replace") if colon else None
        offset += length + (-length & 3)
    return None
