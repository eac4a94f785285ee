"""One publisher's peer connection: its video comes in, estimates go back on its data channel."""

import asyncio
import time
from typing import Protocol

from aiortc import RTCDataChannel, RTCRtpReceiver
from av import VideoFrame

from podstream_workloads.circle.channel import MAX_BUFFERED, Estimate, format_estimate
from podstream_workloads.circle.estimators import BallEstimator, Point
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.receiving import ReceivingEvents, ReceivingPeer


class PublisherEvents(ReceivingEvents, Protocol):
    """Who is told what happens on a publisher's connection."""

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """A frame was looked at; `found` is `None` where it shows no ball."""


class Publisher(ReceivingPeer):
    """Looks for the ball in the newest frame, in a thread."""

    def __init__(self, estimator: BallEstimator, *, events: PublisherEvents) -> None:
        super().__init__(events)
        self._events = events
        self._estimator = estimator
        self._channels: list[RTCDataChannel] = []

    def _opened(self, channel: RTCDataChannel) -> None:
        self._channels.append(channel)

    async def _use(self, frame: VideoFrame, receiver: RTCRtpReceiver) -> None:
        found = await asyncio.to_thread(self._estimator.estimate, frame)
        self._events.looked(frame, found, now=time.monotonic())
        self._tell(found, frame.pts or 0, receiver)

    def _tell(self, found: Point | None, pts: int, receiver: RTCRtpReceiver) -> None:
        rtp_timestamp = aiortc_private.receiver_rtp_timestamp(receiver, pts)
        radius = self._estimator.radius
        text = format_estimate(Estimate(found, pts, rtp_timestamp, radius=radius))
        for channel in self._channels:
            if channel.readyState == "open" and channel.bufferedAmount <= MAX_BUFFERED:
                channel.send(text)
