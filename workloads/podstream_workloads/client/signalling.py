"""How client and server exchange session descriptions, whatever the protocol."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from aiortc import RTCPeerConnection


class SignallingClient(ABC):
    """One exchange of descriptions at a time; may be used again once the last one has ended."""

    client_offers: ClassVar[bool]
    """Whether the client makes the offer; then it also makes the data channel."""

    @abstractmethod
    async def negotiate(self, peer: RTCPeerConnection, *, edit: Callable[[str], str] = str) -> None:
        """Exchange descriptions and set both in `peer`.

        Args:
            peer: has its transceiver and data channel where the client offers.
            edit: applied to the server's description before it takes effect.

        Raises:
            Refused: the server does not want this client.
            Unreachable: no answer in time.
            SessionGone: the session has ended since the client was connected to it.
        """

    @abstractmethod
    async def end(self) -> None:
        """Tell the server that the client leaves; bounded, never raises."""
