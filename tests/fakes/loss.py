"""A network that loses media packets, for peers of this process."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import aioice.ice

_MEDIA = range(128, 192)
"""First byte of RTP and RTCP (RFC 7983); ICE and DTLS pass, or nobody would ever be connected."""


@contextlib.contextmanager
def losing(share: float, *, seed: int = 1) -> Iterator[list[int]]:
    """Lose this share of the media packets both ways; yields [lost, passed]."""
    rng, counts = random.Random(seed), [0, 0]
    protocol: Any = aioice.ice.StunProtocol
    stock = protocol.send_data

    async def send_data(self: Any, data: bytes, addr: Any) -> None:
        is_lost = data[0] in _MEDIA and rng.random() < share
        counts[0 if is_lost else 1] += data[0] in _MEDIA
        if not is_lost:
            await stock(self, data, addr)

    protocol.send_data = send_data
    try:
        yield counts
    finally:
        protocol.send_data = stock
