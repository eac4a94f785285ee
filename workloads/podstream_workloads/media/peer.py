"""The life of one client's peer connection: answer, bounded connect, heartbeat, one clean end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Final, Protocol

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from podstream_workloads.media import aiortc_private
from podstream_workloads.media.heartbeat import HEARTBEAT

logger = logging.getLogger(__name__)

_HEARTBEAT_LOST_S: Final = 8.0
"""Four heartbeats of the own client; without any, ICE consent (30 s) decides."""
_CONNECT_S: Final = 10.0
"""From the exchange of offer and answer to ICE and DTLS; aioice would wait for ever."""


class PeerEvents(Protocol):
    """Who is told what becomes of a client's connection."""

    def established(self) -> None:
        """ICE and DTLS are up."""

    def lost(self, reason: str) -> None:
        """The connection is over and was closed; told once, not after `ClientPeer.close`."""


class ClientPeer:
    """Owns one RTCPeerConnection and its tasks; lives until `close` or until the peer is lost."""

    def __init__(self, events: PeerEvents) -> None:
        self._events_of_peer = events
        # One transport for media and data: each one takes a media port of the pod.
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._heard_at: float | None = None
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._over = False
        self._peer.on("connectionstatechange", self._on_state)
        self._peer.on("datachannel", self._on_channel)

    async def answer(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Answer a client's offer.

        Raises:
            ValueError: the offer is not usable; the message says why.
        """
        await self._peer.setRemoteDescription(without_candidates(offer))
        self._prepare_answer()
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        self._spawn(self._watch_connect())
        return self._peer.localDescription

    @property
    def is_connected(self) -> bool:
        """Whether ICE and DTLS are up."""
        return not self._over and self._peer.connectionState == "connected"

    async def close(self) -> None:
        """End the connection within bounded time; nothing of it is left."""
        self._over = True
        for task in self._tasks:
            if task is not None:
                task.cancel()
        self._stop()
        await aiortc_private.close_quietly(self._peer)

    # -- what kinds of clients add

    def _prepare_answer(self) -> None:
        """The offer is known and not answered yet."""

    def _connected(self) -> None:
        """Media can flow."""

    def _opened(self, channel: RTCDataChannel) -> None:
        """There is a data channel."""

    def _message(self, message: object, *, now: float) -> None:
        """The client has said something that is no heartbeat."""

    def _stop(self) -> None:
        """The end has come."""

    # -- what happens on the connection

    def _on_state(self) -> None:
        state = self._peer.connectionState
        logger.info("connection state is %s", state)
        if self._over:
            return
        if state == "connected":
            self._events_of_peer.established()
            self._connected()
        elif state in ("failed", "closed"):
            self._lose(f"WebRTC connection {state}")

    def _on_channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", self._on_message)
        channel.on("close", lambda: self._lose("data channel closed"))
        self._opened(channel)

    def _on_message(self, message: object) -> None:
        now = time.monotonic()
        if message == HEARTBEAT:
            if self._heard_at is None:
                self._spawn(self._watch_heartbeat())
            self._heard_at = now
        elif not self._over:
            self._message(message, now=now)

    async def _watch_connect(self) -> None:
        await asyncio.sleep(_CONNECT_S)
        if self._peer.connectionState in ("new", "connecting"):
            self._lose(f"no ICE and DTLS connection within {_CONNECT_S:.0f} s")

    async def _watch_heartbeat(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._heard_at is not None and time.monotonic() - self._heard_at > _HEARTBEAT_LOST_S:
                self._lose(f"no heartbeat for {_HEARTBEAT_LOST_S:.0f} s")
                return

    def _lose(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._spawn(self._close_lost(reason))

    async def _close_lost(self, reason: str) -> None:
        self._tasks.discard(asyncio.current_task())
        with contextlib.suppress(asyncio.CancelledError):
            await self.close()
        self._events_of_peer.lost(reason)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def without_candidates(description: RTCSessionDescription) -> RTCSessionDescription:
    """The client's addresses are learnt from its checks, which come through the router.

    Knowing them, ICE would send media past it.
    """
    lines = description.sdp.splitlines()
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return RTCSessionDescription(sdp="\r\n".join(kept) + "\r\n", type=description.type)
