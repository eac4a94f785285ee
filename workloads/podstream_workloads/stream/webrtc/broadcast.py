"""All WebRTC viewers of a session: one programme per codec that anybody looks at."""

from podstream_core.api import Codec
from podstream_workloads.media.encoders.settings import encoder_settings
from podstream_workloads.media.seats import Seat, Seats
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.webrtc.programme import Programme
from podstream_workloads.stream.webrtc.viewer import StreamViewer


class Broadcast:
    """Used on one event loop."""

    def __init__(self, size: tuple[int, int], *, fps: int, seats: Seats) -> None:
        """Prepare; nothing is encoded before somebody looks.

        Args:
            size: width and height of frames, pixels.
            fps: frames a second, about: gives the bitrate.
            seats: hold the viewers' connections.
        """
        self._settings = encoder_settings(
            quality="Balanced", width=size[0], height=size[1], fps=fps
        )
        self._seats = seats
        self._programmes: dict[Codec, Programme] = {}
        self._viewers: set[str] = set()

    @property
    def count(self) -> int:
        """Viewers that are connected or about to be."""
        self._viewers = {name for name in self._viewers if self._seats.has(name)}
        return len(self._viewers)

    @property
    def codecs(self) -> frozenset[Codec]:
        """What is encoded, or was."""
        return frozenset(self._programmes)

    async def connect(self, connection_id: str, *, offer_sdp: str) -> str:
        """Answer a viewer's offer.

        Raises:
            BadOffer, NotReady: as `Seats.open`.
        """

        def make(seat: Seat) -> StreamViewer:
            return StreamViewer(events=seat, programme=self._programme)

        answer = await self._seats.open(connection_id, make, offer_sdp=offer_sdp)
        self._viewers.add(connection_id)
        return answer

    def show(self, frame: Frame) -> None:
        """Show a frame to all viewers; never waits."""
        for programme in self._programmes.values():
            programme.show(frame)

    async def close(self) -> None:
        """Let pictures that are being made be finished."""
        for programme in self._programmes.values():
            await programme.close()

    def _programme(self, codec: Codec) -> Programme:
        if codec not in self._programmes:
            self._programmes[codec] = Programme(codec, settings=self._settings)
        return self._programmes[codec]
