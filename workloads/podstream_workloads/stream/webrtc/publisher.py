"""A publisher by WebRTC: its video is decoded once and goes where pushed frames go."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiortc import RTCDataChannel, RTCRtpReceiver
from av import VideoFrame

from podstream_workloads.media import aiortc_private
from podstream_workloads.media.receiving import ReceivingEvents, ReceivingPeer
from podstream_workloads.sharing import Mark
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.sources.decoding import Scaler

_MAX_BUFFERED: Final = 64 * 1024
"""Bytes that wait on a data channel: with more of them lines are dropped."""


class StreamPublisher(ReceivingPeer):
    """Scales the newest frame in a thread; one that came meanwhile takes its place."""

    def __init__(
        self, scaler: Scaler, *, events: ReceivingEvents, on_frame: Callable[[Frame, Mark], None]
    ) -> None:
        super().__init__(events)
        self._scaler = scaler
        self._on_frame = on_frame
        self._channels: list[RTCDataChannel] = []
        self.size: tuple[int, int] | None = None
        """Width and height as they come, pixels."""

    async def _use(self, frame: VideoFrame, receiver: RTCRtpReceiver) -> None:
        self.size = (frame.width, frame.height)
        scaled = await asyncio.to_thread(self._scaler.frame, frame)
        pts = frame.pts or 0
        self._on_frame(scaled, Mark(pts, aiortc_private.receiver_rtp_timestamp(receiver, pts)))

    def tell(self, line: str) -> None:
        """Say a line on every data channel that the publisher has opened."""
        for channel in self._channels:
            if channel.readyState == "open" and channel.bufferedAmount <= _MAX_BUFFERED:
                channel.send(line)

    def _opened(self, channel: RTCDataChannel) -> None:
        self._channels.append(channel)
