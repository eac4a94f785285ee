"""The one publisher of a session whose source is WHIP, over all of its connections."""

from collections.abc import Callable

from podstream_core.api import Stream, StreamSourceResults
from podstream_workloads.media.seats import Seat, Seats
from podstream_workloads.sharing import Mark
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.sources.decoding import Scaler
from podstream_workloads.stream.webrtc.publisher import StreamPublisher


class Publishing:
    """Makes the receiver of each connection and keeps count."""

    def __init__(
        self, spec: Stream, *, seats: Seats, on_frame: Callable[[Frame, Mark], None]
    ) -> None:
        self._scaler = Scaler(spec.width, spec.height)
        self._seats = seats
        self._on_frame = on_frame
        self._publisher: StreamPublisher | None = None
        self._id = ""
        self._connections = self._dropped = 0

    async def connect(self, connection_id: str, *, offer_sdp: str) -> str:
        """Answer a publisher's offer; the one before it has been ended.

        Raises:
            BadOffer, NotReady: as `Seats.open`.
        """

        def make(seat: Seat) -> StreamPublisher:
            publisher = StreamPublisher(self._scaler, events=seat, on_frame=self._on_frame)
            if self._publisher is not None:
                self._dropped += self._publisher.dropped
            self._publisher, self._id = publisher, connection_id
            return publisher

        answer = await self._seats.open(connection_id, make, offer_sdp=offer_sdp)
        self._connections += 1
        return answer

    def tell(self, line: str) -> None:
        """Say a line to the publisher; nothing where there is none."""
        if self._publisher is not None:
            self._publisher.tell(line)

    def results(self) -> StreamSourceResults:
        """The figures so far."""
        publisher = self._publisher
        if publisher is None:
            return StreamSourceResults()
        width, height = publisher.size or (None, None)
        return StreamSourceResults(
            connected=publisher.is_connected and self._seats.has(self._id),
            connections=self._connections,
            frames_dropped=self._dropped + publisher.dropped,
            codec=publisher.codec,
            width=width,
            height=height,
        )
