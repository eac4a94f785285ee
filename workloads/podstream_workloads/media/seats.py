"""The peer connections of a session: opened by an offer, closed by either side, each once."""

from collections.abc import Callable

from aiortc import RTCSessionDescription

from podstream_workloads.agent import BadOffer, NotReady, WorkloadContext
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.logs import quiet_libraries
from podstream_workloads.media.peer import ClientPeer


class Seat:
    """What a peer connection reports; implements `ReceivingEvents`."""

    def __init__(self, seats: "Seats", connection_id: str) -> None:
        self._seats = seats
        self._connection_id = connection_id

    def established(self) -> None:
        """ICE and DTLS are up."""
        self._seats.context.established(self._connection_id)
        self._seats.changed()

    def first_frame(self) -> None:
        """The first picture is there; who uses it reports it itself."""

    def lost(self, reason: str) -> None:
        """The connection is over and closed."""
        if self._seats.forget(self._connection_id):
            self._seats.context.lost(self._connection_id, reason=reason)


class Seats:
    """All peer connections of a session. Used on one event loop."""

    def __init__(self, context: WorkloadContext, *, changed: Callable[[], None]) -> None:
        """Prepare; `changed` is called when a client has come or gone."""
        quiet_libraries()
        aiortc_private.keep_history()
        aiortc_private.install_marker_release()
        self.context = context
        self.changed = changed
        media = context.media
        self._ice = aiortc_private.PodIce(pod_uid=media.pod_uid, host=media.host, ports=media.ports)
        self._peers: dict[str, ClientPeer] = {}

    async def open(
        self, connection_id: str, make: Callable[[Seat], ClientPeer], *, offer_sdp: str
    ) -> str:
        """Answer an offer.

        Args:
            connection_id: the agent's.
            make: makes the peer connection, which reports to the seat.
            offer_sdp: without candidates.

        Raises:
            BadOffer: it cannot be used.
            NotReady: no media port is free.
        """
        try:
            with aiortc_private.gathering_at(self._ice):
                peer = make(Seat(self, connection_id))
                self._peers[connection_id] = peer
                answer = await peer.answer(RTCSessionDescription(sdp=offer_sdp, type="offer"))
        except aiortc_private.NoMediaPort as error:
            await self.close(connection_id)
            raise NotReady(str(error)) from error
        except Exception as error:
            # aiortc raises whatever its parser stumbles over; the offer is the client's.
            await self.close(connection_id)
            cause = str(error) or type(error).__name__
            raise BadOffer(f"the offer cannot be used: {cause}") from error
        return answer.sdp

    async def close(self, connection_id: str) -> None:
        """End a connection; nothing of it is left. Unknown ones are ignored."""
        peer = self._peers.get(connection_id)
        if peer is not None and self.forget(connection_id):
            await peer.close()

    async def close_all(self) -> None:
        """End every connection."""
        for connection_id in list(self._peers):
            await self.close(connection_id)

    def has(self, connection_id: str) -> bool:
        """Whether a connection is open."""
        return connection_id in self._peers

    def forget(self, connection_id: str) -> bool:
        """Take a connection off the list; whether it was on it."""
        known = self._peers.pop(connection_id, None) is not None
        if known:
            self.changed()
        return known

    def redirect(self, port: int, address: tuple[str, int]) -> bool:
        """Send media of the connection on a port to another address from now on."""
        return self._ice.redirect(port, address)
