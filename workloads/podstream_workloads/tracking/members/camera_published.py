"""A camera whose video a client publishes (`spec.tracking.camera.source.type: WHIP`).

Loads aiortc, so only such cameras import it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import numpy as np
from aiortc import RTCRtpReceiver
from av import VideoFrame

from podstream_workloads.agent import WorkloadContext
from podstream_workloads.media.offers import check_upload
from podstream_workloads.media.receiving import ReceivingEvents, ReceivingPeer
from podstream_workloads.media.seats import Seat, Seats
from podstream_workloads.tracking.edge.feed import Feed

_MOST_PIXELS: Final = 3840 * 2160


class CameraPublisher(ReceivingPeer):
    """Shows the newest frame; one that came meanwhile takes its place."""

    def __init__(self, events: ReceivingEvents, *, show: Callable[[VideoFrame], None]) -> None:
        """`show` is called in a thread."""
        super().__init__(events)
        self._show = show

    async def _use(self, frame: VideoFrame, receiver: RTCRtpReceiver) -> None:
        await asyncio.to_thread(self._show, frame)


class PublishedVideo:
    """The one publisher of a camera, over all of its connections."""

    def __init__(
        self, context: WorkloadContext, *, feed: Feed, changed: Callable[[], None]
    ) -> None:
        """Prepare; `changed` is called when a publisher has come or gone."""
        self._seats = Seats(context, changed=changed)
        self._feed = feed
        self._publisher: CameraPublisher | None = None
        self._dropped = 0
        self.trouble = ""
        """Why the newest frame is not looked at; empty where it is."""

    async def connect(self, connection_id: str, *, offer_sdp: str) -> str:
        """Answer a publisher's offer; the one before it has been ended.

        Raises:
            UnsupportedOffer: it sends no video that is known here.
            BadOffer, NotReady: as `Seats.open`.
        """
        check_upload(offer_sdp)

        def make(seat: Seat) -> CameraPublisher:
            self._dropped = self.dropped
            self._publisher = CameraPublisher(seat, show=self._show)
            return self._publisher

        return await self._seats.open(connection_id, make, offer_sdp=offer_sdp)

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before they were decoded to the end."""
        return self._dropped + (0 if self._publisher is None else self._publisher.dropped)

    def redirect(self, port: int, address: tuple[str, int]) -> bool:
        """Send media of the connection on a port to another address from now on."""
        return self._seats.redirect(port, address)

    async def disconnect(self, connection_id: str) -> None:
        """End a connection; unknown ones are ignored."""
        await self._seats.close(connection_id)

    async def close(self) -> None:
        """End every connection; nothing of them is left."""
        await self._seats.close_all()

    def _show(self, frame: VideoFrame) -> None:
        if frame.width * frame.height > _MOST_PIXELS:
            self.trouble = f"pictures of {frame.width}x{frame.height} are too large"
            return
        self.trouble = ""
        if self._feed.is_due():
            self._feed.put(np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8))
