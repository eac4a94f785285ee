"""What the pod of a tracking session can be: one member of `spec.tracking`."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from aiohttp import web

from podstream_core.api import TrackingResults
from podstream_workloads.agent import Artefact, WorkloadContext


@runtime_checkable
class TakesVideo(Protocol):
    """A member to which a client may publish video over WebRTC."""

    async def publish(self, connection_id: str, *, offer_sdp: str) -> str:
        """Answer a publisher's offer.

        Raises:
            UnsupportedOffer: the session takes no video, or not this one.
            BadOffer: the offer cannot be used.
            NotReady: not yet.
        """

    def redirect(self, port: int, address: tuple[str, int]) -> bool:
        """Send media of the connection on a port to another address; whether there is one."""

    async def leave(self, connection_id: str) -> None:
        """End a connection; unknown ones are ignored."""


class Member(Protocol):
    """Work with figures, mostly a web application."""

    @property
    def capacities(self) -> Mapping[str, int]:
        """Connections at a time, by role."""

    async def open(self, context: WorkloadContext) -> web.Application | None:
        """Begin; the application is served from then on. `None`: nobody connects here.

        Raises:
            SpecRejected: it cannot be as the spec says.
        """

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """Files that are whole."""

    def results(self) -> TrackingResults:
        """Figures of this moment; cheap."""

    @property
    def is_finite(self) -> bool:
        """Whether the work ends by itself; then `context.done` is called."""

    @property
    def has_worked(self) -> bool:
        """Whether anything that came in has gone out."""

    async def close(self) -> None:
        """Say goodbye to all peers and write what is left."""
