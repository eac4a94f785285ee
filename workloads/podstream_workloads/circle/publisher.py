"""One publisher's peer connection: its video comes in, estimates go back on its data channel."""

import asyncio
import contextlib
import time
from typing import Protocol

from aiortc import RTCDataChannel, RTCRtpReceiver
from av import VideoFrame

from podstream_core.api import Codec
from podstream_workloads.circle.channel import MAX_BUFFERED, Estimate, format_estimate
from podstream_workloads.circle.estimators import BallEstimator, Point
from podstream_workloads.circle.peer import ClientPeer, PeerEvents
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.latest import BoxClosed
from podstream_workloads.media.reception import Reception

"""Bytes that a client may leave unread before estimates are dropped instead of queued."""


class PublisherEvents(PeerEvents, Protocol):
    """Who is told what happens on a publisher's connection."""

    def first_frame(self) -> None:
        """A picture was decoded."""

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """A frame was looked at; `found` is `None` where it shows no ball."""


class Publisher(ClientPeer):
    """Receives one video; sound and further videos are declined.

    The newest frame is looked at in a thread of its own. `Reception.frames` says what was dropped.
    """

    def __init__(self, estimator: BallEstimator, *, events: PublisherEvents) -> None:
        super().__init__(events)
        self._events = events
        self._estimator = estimator
        self._reception: Reception | None = None
        self._channels: list[RTCDataChannel] = []
        self.received = 0
        """Frames that were decoded."""

    @property
    def codec(self) -> Codec | None:
        """What is received, once negotiated."""
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "video" and transceiver.direction == "recvonly":
                name = aiortc_private.negotiated_codec(transceiver)
                return Codec(name.upper()) if name else None
        return None

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before they were looked at."""
        return 0 if self._reception is None else self._reception.frames.dropped

    def _prepare_answer(self) -> None:
        """Take the first video; what is not wanted is not received, or it would pile up unread."""
        receiver: RTCRtpReceiver | None = None
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "video" and receiver is None:
                transceiver.direction = "recvonly"
                receiver = transceiver.receiver
            else:
                transceiver.direction = "inactive"
        if receiver is None:
            raise ValueError("the offer has no video")
        self._reception = Reception(receiver, on_decoded=self._decoded)
        self._spawn(self._receive(self._reception))
        self._spawn(self._look(self._reception, receiver))

    def _opened(self, channel: RTCDataChannel) -> None:
        self._channels.append(channel)

    def _decoded(self, _frame: VideoFrame) -> bool:
        self.received += 1
        if self.received == 1:
            self._events.first_frame()
        return True

    async def _receive(self, reception: Reception) -> None:
        await reception.run()
        self._lose("the video has ended")

    async def _look(self, reception: Reception, receiver: RTCRtpReceiver) -> None:
        with contextlib.suppress(BoxClosed):
            while True:
                frame = await reception.frames.get()
                found = await asyncio.to_thread(self._estimator.estimate, frame)
                self._events.looked(frame, found, now=time.monotonic())
                self._tell(found, frame.pts or 0, receiver)

    def _tell(self, found: Point | None, pts: int, receiver: RTCRtpReceiver) -> None:
        rtp_timestamp = aiortc_private.receiver_rtp_timestamp(receiver, pts)
        text = format_estimate(Estimate(found, pts, rtp_timestamp))
        for channel in self._channels:
            if channel.readyState == "open" and channel.bufferedAmount <= MAX_BUFFERED:
                channel.send(text)
