"""What both kinds of clients do on their connection: offer, bounded connect, heartbeat, leave."""

import asyncio
import logging
from typing import Final

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from podstream_workloads.circle.channel import LABEL
from podstream_workloads.client.errors import ClientError
from podstream_workloads.client.options import ClientOptions
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.heartbeat import HEARTBEAT

logger = logging.getLogger(__name__)

_HEARTBEAT_S: Final = 2.0
_ICE_TIMEOUT_S: Final = 10.0
_SILENT_S: Final = 5.0
"""An end after so long without a word of the server's is a lost connection."""


class SessionPeer:
    """One peer connection to a session, with the data channel of the circle workload."""

    def __init__(
        self, options: ClientOptions, *, signalling: SignallingClient, summary: Summary
    ) -> None:
        self._options = options
        self._summary = summary
        self._signalling = signalling
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._on_state)

    async def close(self) -> None:
        """Leave; bounded, never raises."""
        await self._signalling.leave()
        await aiortc_private.close_quietly(self._peer)

    def _open_channel(self) -> RTCDataChannel:
        """The data channel, to be made after the media so that the offer names that first."""
        return self._peer.createDataChannel(LABEL, ordered=False, maxRetransmits=0)

    async def _connect(self, *, timeout_s: float) -> None:
        """Offer, and wait for ICE and DTLS.

        Raises:
            SessionRefused, SessionOver, ClientError: as `SignallingClient.exchange`.
        """
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await self._signalling.exchange(
            self._peer.localDescription.sdp, timeout_s=timeout_s
        )
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await _wait_connected(self._connected, over=self._over)
        self._summary.connections += 1

    def _was_orderly(self, *, silent_s: float) -> bool:
        """Whether the end was one, and not a lost connection.

        A server that ends a session says so while it talks; one that is gone is noticed by ICE
        consent after a silence, and aiortc calls that closed as well.
        """
        return self._peer.connectionState != "failed" and silent_s <= _SILENT_S

    def _has_enough(self) -> bool:
        return 0 < self._options.frames <= self._summary.estimated

    def _on_connected(self) -> None:
        """Media can flow."""

    def _on_state(self) -> None:
        state = self._peer.connectionState
        logger.info("connection state is %s", state)
        if state == "connected":
            self._connected.set()
            self._on_connected()
        elif state in ("failed", "closed"):
            self._over.set()

    async def _beat(self, channel: RTCDataChannel) -> None:
        while True:
            if channel.readyState == "open":
                channel.send(HEARTBEAT)
            await asyncio.sleep(_HEARTBEAT_S)


async def _wait_connected(connected: asyncio.Event, *, over: asyncio.Event) -> None:
    """Wait for ICE and DTLS.

    Raises:
        ClientError: they are not up in time, or the connection is over before.
    """
    waits = {asyncio.create_task(connected.wait()), asyncio.create_task(over.wait())}
    try:
        await asyncio.wait(waits, timeout=_ICE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
    if not connected.is_set():
        raise ClientError(
            f"no media connection within {_ICE_TIMEOUT_S:.0f} s: the router's UDP address in "
            "its answer must be reachable from here (router.media.advertise)"
        )
