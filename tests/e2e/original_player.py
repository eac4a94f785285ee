"""A client of the original's protocol, in stock aiortc, that notes all it sees and is told to say.

It knows the original's law of motion, so it can be wrong by a known distance.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.contrib.signaling import BYE, TcpSocketSignaling
from aiortc.mediastreams import MediaStreamError

_SHOWN = 80
"""Grey levels of green above the other colours: inside of the ball."""
_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Seen:
    """One decoded frame."""

    pts: int
    x: float
    """Centre of gravity of what is green, pixels."""
    y: float
    color: tuple[float, float, float]
    """Mean blue, green and red inside of it."""


@dataclass
class Record:
    """What happened on the connection."""

    labels: list[str] = field(default_factory=list)
    frames: list[Seen] = field(default_factory=list)
    said: list[tuple[int, int, int]] = field(default_factory=list)
    """Estimates, and nothing else: x, y, pts."""


def look(pts: int, image: Any) -> Seen | None:
    """Find what is green in a BGR picture."""
    blue, green, red = (image[:, :, index].astype(np.int16) for index in range(3))
    rows, columns = np.nonzero(green - np.maximum(blue, red) > _SHOWN)
    if not len(rows):
        return None
    mean = image[rows, columns].mean(axis=0)
    color = (float(mean[0]), float(mean[1]), float(mean[2]))
    return Seen(pts, float(columns.mean()), float(rows.mean()), color)


Say = Callable[[Seen, Any], list[str]]
"""What to send about a frame, given where its ball is and its BGR picture."""


async def play(address: tuple[str, int], say: Say, *, seconds: float) -> Record:
    """Connect and watch so many seconds of the stream.

    Raises:
        TimeoutError: they do not come.
    """
    record = Record()
    signaling, offer = await _dial(address)
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channel: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    track: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    peer.on("datachannel", channel.set_result)
    peer.on("track", track.set_result)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await peer.setRemoteDescription(offer)
            await peer.setLocalDescription(await peer.createAnswer())
            await signaling.send(peer.localDescription)
            open_channel = await channel
            record.labels.append(open_channel.label)
            open_channel.send("hi")
            await _watch(await track, open_channel, record, say, until=round(90_000 * seconds))
            # Stock aiortc acknowledges within 0.2 s; a goodbye before would cut what is under way.
            while open_channel.bufferedAmount:  # noqa: ASYNC110 - aiortc has no event for it
                await asyncio.sleep(0.05)
    finally:
        with contextlib.suppress(OSError):
            await signaling.send(BYE)
        await signaling.close()
        await peer.close()
    return record


async def _dial(address: tuple[str, int]) -> tuple[TcpSocketSignaling, Any]:
    """Come back until the place is free: then there is an offer."""
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            signaling = TcpSocketSignaling(*address)
            with contextlib.suppress(ConnectionError):
                offer = await signaling.receive()
                if offer is not None:
                    return signaling, offer
            await signaling.close()
            await asyncio.sleep(0.2)


async def _watch(track: Any, channel: Any, record: Record, say: Say, *, until: int) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(MediaStreamError):
        while not record.frames or record.frames[-1].pts < until:
            frame = await track.recv()
            image = frame.to_ndarray(format="bgr24")
            seen = look(frame.pts, image)
            assert seen is not None, f"no ball at {frame.pts}"
            record.frames.append(seen)
            for text in await loop.run_in_executor(None, say, seen, image):
                channel.send(text)
                with contextlib.suppress(ValueError):
                    x, y, pts = (int(part) for part in text.split("\t"))
                    record.said.append((x, y, pts))
