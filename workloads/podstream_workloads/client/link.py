"""One WebRTC connection to a session: its track, its data channel, and how it ends."""

import asyncio
import logging
from enum import StrEnum
from typing import Final

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpReceiver,
)

from podstream_workloads.circle.channel import LABEL
from podstream_workloads.client.errors import Unreachable
from podstream_workloads.client.late import hold_video, release_video
from podstream_workloads.client.signalling import SignallingClient
from podstream_workloads.media import aiortc_private

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
"""For ICE and DTLS. aioice would wait for ever where no candidate answers."""
_SETTLE_S: Final = 1.0
_FLUSH_S: Final = 0.5
_MAX_BUFFERED: Final = 64 * 1024


class End(StrEnum):
    """Why playing ended."""

    CLOSED = "closed by the server"
    FAILED = "connection failed"
    REACHED = "limit reached"
    STOPPED = "stopped by a signal"


class Link:
    """Owns an RTCPeerConnection; lives until `close`."""

    def __init__(self, *, client_offers: bool) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self._channel: RTCDataChannel | None = None
        self._changed = asyncio.Event()
        self._failed = False
        self.peer.on("track", self._tracks.put_nowait)
        self.peer.on("datachannel", self._adopt)
        self.peer.on("connectionstatechange", self._note_state)
        self.peer.on("iceconnectionstatechange", self._note_state)
        if client_offers:
            self.peer.addTransceiver("video", direction="recvonly")
            self._channel = self.peer.createDataChannel(LABEL, ordered=False, maxRetransmits=0)

    @classmethod
    async def open(cls, signalling: SignallingClient, *, late: bool) -> "Link":
        """Connect to a session.

        Args:
            signalling: exchanges the descriptions.
            late: throw the video away until `join` is called.

        Raises:
            ClientError: the session refused, or no media connection came up.
        """
        link = cls(client_offers=signalling.client_offers)
        try:
            await signalling.negotiate(link.peer, edit=hold_video if late else str)
            await link._connected()
        except BaseException:
            await link.close()
            raise
        return link

    async def join(self) -> None:
        """Begin to take the video in, where it was held."""
        await release_video(self.peer)

    async def video(self) -> tuple[MediaStreamTrack, RTCRtpReceiver]:
        """The server's track and who receives it, once it is announced."""
        while True:
            track = await self._tracks.get()
            for transceiver in self.peer.getTransceivers():
                if transceiver.receiver.track is track and track.kind == "video":
                    return track, transceiver.receiver

    @property
    def codec(self) -> str | None:
        """Name of the negotiated video codec."""
        for transceiver in self.peer.getTransceivers():
            if transceiver.kind == "video":
                return aiortc_private.negotiated_codec(transceiver)
        return None

    def send(self, message: str) -> bool:
        """Send on the data channel; `False` where it is not open or congested. Never waits."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return False
        if channel.bufferedAmount > _MAX_BUFFERED:
            return False
        channel.send(message)
        return True

    async def flush(self) -> None:
        """Wait, bounded, until what was sent has left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FLUSH_S
        while self._channel is not None and self._channel.bufferedAmount > 0:
            if loop.time() >= deadline:
                return
            await asyncio.sleep(0.01)

    async def over(self) -> End:
        """Wait until the connection has ended by itself or by the server."""
        while not self._is_over:
            self._changed.clear()
            await self._changed.wait()
        return self._end

    async def settled(self) -> End:
        """How the connection ended, asked when its track did.

        A server's goodbye ends the track and then the connection; a lost connection ends both in
        either order.
        """
        try:
            async with asyncio.timeout(_SETTLE_S):
                return await self.over()
        except TimeoutError:
            return End.CLOSED

    async def close(self) -> None:
        """End the connection within bounded time."""
        await aiortc_private.close_quietly(self.peer)

    # -- states

    async def _connected(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while self.peer.connectionState != "connected":
                    if self._is_over:
                        raise Unreachable(f"the media connection {self._end}: {_MEDIA_HINT}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Unreachable(
                f"no media connection within {CONNECT_TIMEOUT_S:.0f} s: {_MEDIA_HINT}"
            ) from None

    @property
    def _is_over(self) -> bool:
        return self.peer.connectionState in ("failed", "closed")

    @property
    def _end(self) -> End:
        return End.FAILED if self._failed else End.CLOSED

    def _note_state(self) -> None:
        state = self.peer.connectionState
        logger.debug("connection state", extra={"state": state})
        if "failed" in (state, self.peer.iceConnectionState):
            self._failed = True
        self._changed.set()

    def _adopt(self, channel: RTCDataChannel) -> None:
        if channel.label == LABEL and self._channel is None:
            self._channel = channel


_MEDIA_HINT: Final = "check that UDP to the router's media address is open in both directions"
