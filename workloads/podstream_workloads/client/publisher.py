"""One connection of a client that publishes: its video goes out, places of the ball come back."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from podstream_workloads.circle.channel import HEARTBEAT, LABEL, parse_estimate
from podstream_workloads.client.connecting import wait_connected
from podstream_workloads.client.options import ClientOptions
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.video import VideoSource, VideoTrack
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.install import use_encoders
from podstream_workloads.media.encoders.settings import encoder_settings

logger = logging.getLogger(__name__)

_HEARTBEAT_S: Final = 2.0
_LAST_ANSWERS_S: Final = 0.5
"""How long answers to the last frames are waited for."""
_SILENT_S: Final = 5.0
"""An end after so long without an answer is a lost connection."""


class Publisher:
    """Publishes until the video or the session ends, or until the options' limits are reached."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        signalling: SignallingClient,
        source: VideoSource,
        pool: ThreadPoolExecutor,
        summary: Summary,
    ) -> None:
        self._options = options
        self._signalling = signalling
        self._summary = summary
        use_encoders(
            encoder_settings(
                quality="Balanced", width=source.width, height=source.height, fps=source.fps
            )
        )
        self._track = VideoTrack(source, pool=pool)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self._peer.addTransceiver(self._track, direction="sendonly")
        known = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            sorted(known, key=lambda codec: codec.mimeType.upper() != "VIDEO/H264")
        )
        self._channel = self._peer.createDataChannel(LABEL, ordered=False, maxRetransmits=0)
        self._channel.on("message", self._on_message)
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._heard_at = time.monotonic()
        self._peer.on("connectionstatechange", self._on_state)

    async def play(self, *, connect_timeout_s: float) -> bool:
        """Publish; whether the end was orderly rather than a lost connection.

        Raises:
            SessionRefused, SessionOver, ClientError: as `SignallingClient.exchange`.
        """
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await self._signalling.exchange(
            self._peer.localDescription.sdp, timeout_s=connect_timeout_s
        )
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await wait_connected(self._connected, over=self._over)
        self._summary.connections += 1
        self._heard_at = time.monotonic()
        beating = asyncio.create_task(self._beat())
        ends = {asyncio.create_task(event.wait()) for event in (self._over, self._track.over)}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not self._over.is_set():
                await asyncio.sleep(_LAST_ANSWERS_S)
                return True
        finally:
            beating.cancel()
            for end in ends:
                end.cancel()
            self._summary.sent += self._track.sent
        was_silent = time.monotonic() - self._heard_at > _SILENT_S
        return self._peer.connectionState != "failed" and not was_silent

    async def close(self) -> None:
        """Leave; bounded, never raises."""
        self._track.stop()
        await self._signalling.leave()
        await aiortc_private.close_quietly(self._peer)

    def _on_state(self) -> None:
        state = self._peer.connectionState
        logger.info("connection state is %s", state)
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._over.set()

    def _on_message(self, message: object) -> None:
        estimate = parse_estimate(message)
        if estimate is None:
            return
        self._heard_at = time.monotonic()
        if estimate.position is None:
            self._summary.missed += 1
        else:
            self._summary.estimated += 1
            self._summary.x, self._summary.y = estimate.position
        logger.debug("ball at %s", estimate.position)
        if 0 < self._options.frames <= self._summary.estimated:
            self._over.set()

    async def _beat(self) -> None:
        while True:
            if self._channel.readyState == "open":
                self._channel.send(HEARTBEAT)
            await asyncio.sleep(_HEARTBEAT_S)
