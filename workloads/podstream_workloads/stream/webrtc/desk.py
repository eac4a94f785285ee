"""Everything of a stream that needs aiortc: loaded when the first client speaks WebRTC."""

from collections.abc import Callable

from podstream_core.api import Codec, SourceType, Stream, StreamSourceResults
from podstream_workloads.agent import UnsupportedOffer, WorkloadContext
from podstream_workloads.media.offers import check_offer, check_upload
from podstream_workloads.media.seats import Seats
from podstream_workloads.sharing import Mark
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.webrtc.broadcast import Broadcast
from podstream_workloads.stream.webrtc.publishing import Publishing


class Desk:
    """The WebRTC clients of a session: its publisher, where its source is WHIP, and viewers."""

    def __init__(
        self,
        spec: Stream,
        context: WorkloadContext,
        *,
        viewed_size: tuple[int, int],
        on_frame: Callable[[Frame, Mark], None],
        changed: Callable[[], None],
    ) -> None:
        """Prepare for clients.

        Args:
            spec: says who may publish.
            context: told of clients that come and go; has the media ports.
            viewed_size: width and height of what viewers see, pixels.
            on_frame: gets the publisher's frames, at the spec's size.
            changed: called when a client has come or gone.
        """
        self._seats = Seats(context, changed=changed)
        self._broadcast = Broadcast(viewed_size, fps=spec.source.fps, seats=self._seats)
        self._publishing: Publishing | None = None
        if spec.source.type is SourceType.WHIP:
            self._publishing = Publishing(spec, seats=self._seats, on_frame=on_frame)

    async def publish(self, connection_id: str, *, offer_sdp: str) -> str:
        """Answer a publisher's offer.

        Raises:
            UnsupportedOffer: the session takes no video, or not this one.
            BadOffer, NotReady: as `Seats.open`.
        """
        if self._publishing is None:
            raise UnsupportedOffer(
                "the session takes no video by WebRTC: set spec.stream.source.type to WHIP"
            )
        check_upload(offer_sdp)
        return await self._publishing.connect(connection_id, offer_sdp=offer_sdp)

    async def look(self, connection_id: str, *, offer_sdp: str) -> str:
        """Answer a viewer's offer.

        Raises:
            UnsupportedOffer: it has no video that can be received.
            BadOffer, NotReady: as `Seats.open`.
        """
        check_offer(offer_sdp)
        return await self._broadcast.connect(connection_id, offer_sdp=offer_sdp)

    @property
    def viewers(self) -> int:
        """Connected or about to be."""
        return self._broadcast.count

    @property
    def codecs(self) -> frozenset[Codec]:
        """In which pictures are encoded, or were."""
        return self._broadcast.codecs

    @property
    def source(self) -> StreamSourceResults | None:
        """Of the publisher, where the session has one by WHIP."""
        return None if self._publishing is None else self._publishing.results()

    def tell(self, line: str) -> None:
        """Say a line to the publisher, on the data channels that it has opened."""
        if self._publishing is not None:
            self._publishing.tell(line)

    def show(self, frame: Frame) -> None:
        """Show a frame to all viewers; never waits."""
        self._broadcast.show(frame)

    def redirect(self, port: int, address: tuple[str, int]) -> bool:
        """Send media of the connection on a port to another address from now on."""
        return self._seats.redirect(port, address)

    async def disconnect(self, connection_id: str) -> None:
        """End a connection; unknown ones are ignored."""
        await self._seats.close(connection_id)

    async def close(self) -> None:
        """End every connection; nothing of them is left."""
        await self._seats.close_all()
        await self._broadcast.close()
