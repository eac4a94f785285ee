"""A publisher by WebRTC: its video is decoded once and goes where pushed frames go."""

import asyncio
from collections.abc import Callable

from aiortc import RTCRtpReceiver
from av import VideoFrame

from podstream_workloads.media.receiving import ReceivingEvents, ReceivingPeer
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.sources.decoding import Scaler


class StreamPublisher(ReceivingPeer):
    """Scales the newest frame in a thread; one that came meanwhile takes its place."""

    def __init__(
        self, scaler: Scaler, *, events: ReceivingEvents, on_frame: Callable[[Frame], None]
    ) -> None:
        super().__init__(events)
        self._scaler = scaler
        self._on_frame = on_frame
        self.size: tuple[int, int] | None = None
        """Width and height as they come, pixels."""

    async def _use(self, frame: VideoFrame, receiver: RTCRtpReceiver) -> None:
        self.size = (frame.width, frame.height)
        self._on_frame(await asyncio.to_thread(self._scaler.frame, frame))
