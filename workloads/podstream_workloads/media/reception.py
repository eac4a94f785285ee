"""Keeps a video receiver near the present: newest frame only, lost packets and pictures asked for.

Every hop drops what it is too slow for and counts it, so a slow consumer costs frames and never
delay or memory.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from podstream_workloads.media import aiortc_private
from podstream_workloads.media.latest import LatestBox
from podstream_workloads.media.stall import StallWatch

_REPEAT_S: Final = 0.05
"""Between two requests for the same lost packet: longer than most ways there and back."""


class Reception:
    """What comes in on one receiver. Nothing happens before `run`."""

    def __init__(
        self, receiver: RTCRtpReceiver, *, on_decoded: Callable[[VideoFrame], bool] | None = None
    ) -> None:
        """`on_decoded` sees every frame; where it says false the frame goes no further."""
        self._receiver = receiver
        self._on_decoded = on_decoded
        self._stall = StallWatch()
        self.frames: LatestBox[VideoFrame] = LatestBox()
        """The newest frame; closed at the end of the track."""

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame was decoded; 0 before the first."""
        at = self._stall.decoded_at
        return 0.0 if at is None else time.monotonic() - at

    async def run(self) -> None:
        """Receive until the track ends."""
        keeping = asyncio.create_task(self._keep())
        try:
            with contextlib.suppress(MediaStreamError):
                while True:
                    frame = await self._receiver.track.recv()
                    self._stall.decoded(time.monotonic())
                    if not isinstance(frame, VideoFrame):
                        continue
                    if self._on_decoded is None or self._on_decoded(frame):
                        self.frames.put(frame)
        finally:
            self.frames.close()
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _keep(self) -> None:
        """Ask for what is missing."""
        while True:
            await asyncio.sleep(_REPEAT_S)
            await aiortc_private.ask_again(self._receiver)
            packets = aiortc_private.packets_received(self._receiver)
            if self._stall.is_due(packets=packets, now=time.monotonic()):
                await aiortc_private.request_key_frame(self._receiver)
