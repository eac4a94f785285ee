"""What router replicas tell each other, and how one knows that the other is one of them.

A message is msgpack behind an HMAC-SHA256 (RFC 2104). The key is derived (HKDF, RFC 5869) from the
installation's assignment key, which only operator and router hold: a session pod, or anybody else
in the cluster's network, can neither announce a flow nor read who is connected. The number of a
message is its time, so an old one cannot be played again.
"""

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from podstream_core.tokens import LEEWAY_S, SigningKey

CONTENT_TYPE: Final = "application/vnd.podstream.peers+msgpack"
MAX_ENTRY_BYTES: Final = 160
"""Bound of one flow on the wire: two addresses' worth of text, a fragment, a replica's id."""
_MAC_BYTES: Final = 32
_PURPOSE: Final = b"podstream router peers 1"

Source = tuple[str, int]
"""A client's address as the router sees it."""


class SealError(Exception):
    """A message is not of this installation's routers, or is too old."""


class FlowEntry(msgspec.Struct, frozen=True, array_like=True):
    """One confirmed flow; pod and port follow from the fragment."""

    host: str
    port: int
    ufrag: str
    taken_from: str = ""
    """Replica that had the flow before; empty where the client's own check began it."""

    @property
    def source(self) -> Source:
        """The client's address."""
        return self.host, self.port


class Hearsay(msgspec.Struct, frozen=True, array_like=True):
    """What a replica knows of a third one."""

    replica: str
    number: int
    """Of the third one's last message."""
    flows: list[FlowEntry]


class PeerMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of `POST /peers` and of its answer."""

    sender: str
    """Random id of the replica's process."""
    number: int
    """Nanoseconds since 1970; rises strictly with every message of a sender."""
    admin_port: int
    """Where the sender takes messages, at the address that it writes from."""
    flows: list[FlowEntry] = []
    """New flows, or all of them."""
    gone: list[Source] = []
    """Flows that ended."""
    others: list[Hearsay] = []
    """Flows of third replicas, which may be gone; only where everything was asked for."""
    is_all: bool = False
    """`flows` replaces everything that this sender has said before."""
    wants_all: bool = False
    """The receiver is asked for all its flows."""


class Seal:
    """Seals messages with the current key, and opens those of the current and previous keys."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """`keys`: the assignment keys, the current one first."""
        self._keys = [_derive(key) for key in keys]

    @property
    def key_count(self) -> int:
        """Keys that a message can be sealed with, the current one first."""
        return len(self._keys)

    def close(self, message: PeerMessage, *, key: int = 0) -> bytes:
        """Encode a message."""
        body = msgspec.msgpack.encode(message)
        return _mac(self._keys[key], body) + body

    def open(self, data: bytes, *, now_ns: int | None = None) -> PeerMessage:
        """Check and decode a message.

        Raises:
            SealError: the message is not acceptable.
        """
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        # Every key is tried, so that the time tells nothing.
        if not sum(hmac.compare_digest(mac, _mac(key, body)) for key in self._keys):
            raise SealError("sealed with a key that is not known here")
        try:
            message = msgspec.msgpack.decode(body, type=PeerMessage)
        except msgspec.DecodeError as error:
            raise SealError(f"not a message of this release: {error}") from error
        age_ns = (time.time_ns() if now_ns is None else now_ns) - message.number
        if abs(age_ns) > LEEWAY_S * 1e9:
            raise SealError(f"the message is {age_ns / 1e9:.0f} s old: check the nodes' clocks")
        return message


def _derive(key: SigningKey) -> bytes:
    raw = key.private.private_bytes(
        serialization.Encoding.Raw,
        serialization.PrivateFormat.Raw,
        serialization.NoEncryption(),
    )
    return HKDF(hashes.SHA256(), length=_MAC_BYTES, salt=None, info=_PURPOSE).derive(raw)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)
