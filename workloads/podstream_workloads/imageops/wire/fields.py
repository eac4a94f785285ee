"""Reads and writes the protobuf wire format by hand, without copying payloads.

A message with a large `bytes` member costs several copies in a generated class, each of them with
the interpreter's lock held. Here such a member stays a slice of the message. Encoding as in
https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import Final, Literal

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES: Final = 10
_SIGN_32: Final = 1 << 31
_MASK_32: Final = (1 << 32) - 1
_MASK_64: Final = (1 << 64) - 1
_ORDER: Final[Literal["little"]] = "little"


class WireError(ValueError):
    """The bytes are no protobuf message of the expected form."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field, in the order of the message.

    Varints and fixed numbers are unsigned integers; strings, bytes and messages are slices.

    Raises:
        WireError: the message is cut off or has an unknown wire type.
    """
    offset, end = 0, len(message)
    while offset < end:
        key, offset = _varint(message, offset)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise WireError("field number 0")
        if kind == _VARINT:
            value, offset = _varint(message, offset)
            yield number, value
            continue
        if kind == _BYTES:
            length, offset = _varint(message, offset)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise WireError(f"wire type {kind} is not accepted")
        if length > end - offset:
            raise WireError("a field reaches beyond the end of the message")
        piece = message[offset : offset + length]
        offset += length
        yield number, piece if kind == _BYTES else int.from_bytes(piece, _ORDER)


def integer(value: int | memoryview) -> int:
    """The value of a field that is a number.

    Raises:
        WireError: it is not.
    """
    if not isinstance(value, int):
        raise WireError("a field that should be a number is none")
    return value


def int32(value: int | memoryview) -> int:
    """A varint as the signed 32-bit number that it means.

    Raises:
        WireError: the field is no number.
    """
    low = integer(value) & _MASK_32
    return low - (1 << 32) if low & _SIGN_32 else low


def payload(value: int | memoryview) -> memoryview:
    """The value of a field that is bytes or a message.

    Raises:
        WireError: it is not.
    """
    if isinstance(value, int):
        raise WireError("a field that should be bytes is a number")
    return value


def varint(value: int) -> bytes:
    """An unsigned number on the wire."""
    parts = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def bytes_key(number: int, length: int) -> bytes:
    """What comes before so many bytes of a field."""
    return varint(number << 3 | _BYTES) + varint(length)


def number_field(number: int, value: int) -> bytes:
    """A number above zero; zero is not written in proto3."""
    return varint(number << 3) + varint(value) if value else b""


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if offset >= len(message):
            raise WireError("a number is cut off")
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - last byte of a varint
            return value & _MASK_64, offset
    raise WireError("a number has more than ten bytes")
