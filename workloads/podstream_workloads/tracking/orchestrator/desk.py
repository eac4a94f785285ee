"""Which message of a peer has which effect: Tracktech's types, and podstream's own.

A message that has no effect is refused: logged, told to peers that said `hello`, and the connection
stays as it is.
"""

from typing import Protocol

from podstream_workloads.tracking.orchestrator import messages
from podstream_workloads.tracking.orchestrator.errors import Refused
from podstream_workloads.tracking.orchestrator.frames import text_frame
from podstream_workloads.tracking.orchestrator.messages import Incoming
from podstream_workloads.tracking.orchestrator.peer import Peer
from podstream_workloads.tracking.orchestrator.site import Site


class Desk(Protocol):
    """One of the two WebSocket endpoints."""

    role: str

    def admitted(self, peer: Peer) -> None:
        """A peer has been let in."""

    async def take(self, peer: Peer, kind: str, message: Incoming) -> None:
        """Act on a message of an admitted peer.

        Raises:
            Refused: it has no effect.
        """


class ClientDesk:
    """`/client`: people who watch, and who say what is to be tracked."""

    role = "client"

    def __init__(self, site: Site) -> None:
        self._site = site

    def admitted(self, peer: Peer) -> None:
        """From now on the client gets broadcasts."""
        self._site.join(peer)

    async def take(self, peer: Peer, kind: str, message: Incoming) -> None:
        """See `Desk`."""
        match kind:
            case "start":
                await self._site.start(message)
            case "stop":
                self._site.stop(message)
            case "setUsesImages":
                self._site.use_images(peer, message)
            case "subscribe":
                peer.cameras = messages.camera_list(message.cameras)
            case "hello":
                _greet(peer)
            case _:
                raise Refused("UnknownType", f"unknown type: {kind}")


class ProcessorDesk:
    """`/processor`: cameras that find and follow objects."""

    role = "processor"

    def __init__(self, site: Site) -> None:
        self._site = site

    def admitted(self, peer: Peer) -> None:
        """A processor is known once it has named itself."""

    async def take(self, peer: Peer, kind: str, message: Incoming) -> None:
        """See `Desk`."""
        match kind:
            case "boundingBoxes":
                self._site.relay_boxes(peer, message)
            case "featureMap":
                self._site.update_feature_map(message)
            case "identifier":
                self._site.identify(peer, message)
            case "hello":
                _greet(peer)
            case _:
                raise Refused("UnknownType", f"unknown type: {kind}")


def _greet(peer: Peer) -> None:
    peer.said_hello = True
    peer.send_control(text_frame(messages.hello()))
