"""One connection of a client that publishes: its video goes out, places of the ball come back."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from podstream_core.api import Codec
from podstream_workloads.circle.channel import parse_estimate
from podstream_workloads.client.options import ClientOptions
from podstream_workloads.client.peer import SessionPeer
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.video import VideoSource, VideoTrack
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media.codecs import codec_preferences
from podstream_workloads.media.encoders.install import use_encoders
from podstream_workloads.media.encoders.settings import encoder_settings

logger = logging.getLogger(__name__)

_LAST_ANSWERS_S: Final = 0.5
"""How long answers to the last frames are waited for."""


class Publisher(SessionPeer):
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
        super().__init__(options, signalling=signalling, summary=summary)
        use_encoders(
            encoder_settings(
                quality="Balanced", width=source.width, height=source.height, fps=source.fps
            )
        )
        self._track = VideoTrack(source, pool=pool)
        transceiver = self._peer.addTransceiver(self._track, direction="sendonly")
        transceiver.setCodecPreferences(codec_preferences(Codec.H264))
        self._channel = self._open_channel()
        self._channel.on("message", self._on_message)
        self._heard_at = time.monotonic()

    async def play(self, *, connect_timeout_s: float) -> bool:
        """Publish; whether the end was orderly rather than a lost connection.

        Raises:
            SessionRefused, SessionOver, ClientError: as `SignallingClient.exchange`.
            ClientError: the video cannot be read any more.
        """
        await self._connect(timeout_s=connect_timeout_s)
        self._heard_at = time.monotonic()
        beating = asyncio.create_task(self._beat(self._channel))
        ends = {asyncio.create_task(event.wait()) for event in (self._over, self._track.over)}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._track.fault is not None:
                raise self._track.fault
            if not self._over.is_set():
                await asyncio.sleep(_LAST_ANSWERS_S)
                return True
        finally:
            beating.cancel()
            for end in ends:
                end.cancel()
            self._summary.sent += self._track.sent
        return self._was_orderly(silent_s=time.monotonic() - self._heard_at)

    async def close(self) -> None:
        """Leave; bounded, never raises."""
        self._track.stop()
        await super().close()

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
        if self._has_enough():
            self._over.set()
