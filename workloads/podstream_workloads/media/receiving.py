"""The receiving end of a publisher's video (WHIP): one video, the newest frame at a time."""

import contextlib
from abc import abstractmethod
from typing import Protocol

from aiortc import RTCRtpReceiver
from av import VideoFrame

from podstream_core.api import Codec
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.latest import BoxClosed
from podstream_workloads.media.peer import ClientPeer, PeerEvents
from podstream_workloads.media.reception import Reception


class ReceivingEvents(PeerEvents, Protocol):
    """Who is told what happens on a publisher's connection."""

    def first_frame(self) -> None:
        """A picture was decoded."""


class ReceivingPeer(ClientPeer):
    """Receives one video; sound and further videos are declined.

    Frames are used one after the other; `Reception.frames` says what was dropped meanwhile.
    """

    def __init__(self, events: ReceivingEvents) -> None:
        super().__init__(events)
        self._events_of_video = events
        self._reception: Reception | None = None
        self.received = 0
        """Frames that were decoded."""

    @abstractmethod
    async def _use(self, frame: VideoFrame, receiver: RTCRtpReceiver) -> None:
        """Do something with the newest frame; the next one waits for it."""

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
        """Frames that a newer one replaced before they were used."""
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
        self._spawn(self._work(self._reception, receiver))

    def _decoded(self, _frame: VideoFrame) -> bool:
        self.received += 1
        if self.received == 1:
            self._events_of_video.first_frame()
        return True

    async def _receive(self, reception: Reception) -> None:
        await reception.run()
        self._lose("the video has ended")

    async def _work(self, reception: Reception, receiver: RTCRtpReceiver) -> None:
        with contextlib.suppress(BoxClosed):
            while True:
                await self._use(await reception.frames.get(), receiver)
