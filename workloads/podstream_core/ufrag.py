"""ICE user name fragments that name their pod and media port.

A router replica must be able to place the first STUN packet of a flow without a table that other
replicas would need. So the fragment that a session pod puts into its SDP starts with a digest of
the pod's UID, goes on with the index of the UDP port, and ends with random characters::

    dddddddddd p rrrrrrrrrrrr        10 digest + 1 port index + 12 random characters

All characters are ice-char (RFC 8839 section 5.4: ALPHA / DIGIT / "+" / "/"). The digest has 60
bits, so two of 10,000 pods share one with a probability of about 5e-11.
"""

import base64
import hashlib
import secrets
from typing import Final, NamedTuple

from podstream_core.ports import MEDIA_PORT_COUNT, MEDIA_PORT_FIRST

_DIGEST_CHARS: Final = 10
_RANDOM_CHARS: Final = 12
UFRAG_CHARS: Final = _DIGEST_CHARS + 1 + _RANDOM_CHARS
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class UfragTarget(NamedTuple):
    """Where a user name fragment leads."""

    pod_digest: str
    port: int
    """UDP port of the session pod."""


def pod_digest(pod_uid: str) -> str:
    """First part of every fragment of the pod with this UID."""
    digest = hashlib.sha256(pod_uid.encode()).digest()
    return base64.b64encode(digest).decode()[:_DIGEST_CHARS]


def make_ufrag(pod_uid: str, *, port: int) -> str:
    """Build a fresh fragment for a media port of a pod.

    Raises:
        ValueError: the port is not one of the pod's media ports.
    """
    index = port - MEDIA_PORT_FIRST
    if not 0 <= index < MEDIA_PORT_COUNT:
        last = MEDIA_PORT_FIRST + MEDIA_PORT_COUNT - 1
        raise ValueError(f"media port {port} is outside {MEDIA_PORT_FIRST}-{last}")
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARS))
    return pod_digest(pod_uid) + _ALPHABET[index] + tail


def parse_ufrag(ufrag: str) -> UfragTarget | None:
    """Read a fragment; `None` where it was not made by `make_ufrag`."""
    if len(ufrag) != UFRAG_CHARS:
        return None
    index = _ALPHABET.find(ufrag[_DIGEST_CHARS])
    if not 0 <= index < MEDIA_PORT_COUNT:
        return None
    return UfragTarget(ufrag[:_DIGEST_CHARS], MEDIA_PORT_FIRST + index)
