"""What a workload is: the one interface between the agent and the work.

A workload lives in a child process that belongs to it alone. The child imports the workload's
module when the pod starts, before it knows any session; `configure` is called once, after the
assignment; then connections arrive that the agent's gate has already admitted, so a workload never
counts slots. Everything runs on the child's event loop: CPU work goes to threads
(`asyncio.to_thread`; the default executor has as many threads as the process may use cores).

Order of calls for one session::

    configure -> [connect_* | disconnect | update | results]* -> drain -> [flush] -> results -> end
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from podstream_core.agentapi import Protocol, SessionRef
from podstream_core.api import LiveSpec, SessionSpec
from podstream_core.api.base import ApiValue


class WorkloadError(Exception):
    """A workload refuses a call; the message says what is missing and what to do.

    `code` is what the client sees as `error`, `status` the HTTP status beside it.
    """

    code: ClassVar[str] = "WorkloadError"
    status: ClassVar[int] = 500


class BadOffer(WorkloadError):
    """The offer is not SDP, or its parts contradict each other."""

    code = "BadOffer"
    status = 400


class UnsupportedOffer(WorkloadError):
    """The offer is sound but lacks what the workload needs (codec, direction, data channel)."""

    code = "UnsupportedOffer"
    status = 422


class NotReady(WorkloadError):
    """The workload cannot serve a connection yet; the router holds it and asks again."""

    code = "NotReady"
    status = 425


class SpecRejected(WorkloadError):
    """The spec asks for what this workload cannot do; the session fails with this reason."""

    code = "SpecRejected"
    status = 422


class Connection(ApiValue, frozen=True, kw_only=True):
    """A client's connection that the gate has admitted."""

    id: str
    """Unguessable and unique; the same id comes in `disconnect` and goes into the context."""
    role: str
    """One of the keys of `Workload.roles`."""
    protocol: Protocol
    client_address: str = ""
    """For log lines; never for decisions."""


class MediaAddress(ApiValue, frozen=True, kw_only=True):
    """Where the pod receives media over UDP."""

    pod_uid: str
    """Goes into the ICE user name fragment (`podstream_core.ufrag.make_ufrag`)."""
    host: str
    """IPv4 or IPv6 address to bind and to put into candidates: the pod's, locally 127.0.0.1."""
    first_port: int
    port_count: int

    @property
    def ports(self) -> range:
        """UDP ports that may receive media; each may be taken by another peer connection."""
        return range(self.first_port, self.first_port + self.port_count)


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file for `GET /results/<workload>-<name>`; unless live it never changes once named."""

    name: str
    """Letters, digits, dot, dash, underscore; at most 100; unique within the workload."""
    path: Path
    """Inside `WorkloadContext.artefact_dir`, or on a volume of the session."""
    sha256: str | None = None
    """Hexadecimal, where the workload has it already; otherwise the file is read for it."""
    is_live: bool = False
    """Whether it changes still, or serves what does: it is sent as it is at that moment, without a
    checksum, and is in no list of finished files."""
    later: Path | None = None
    """Of a live file: what it is called once it is finished."""


@dataclass(frozen=True, slots=True)
class WorkloadResults:
    """What a workload has measured so far."""

    figures: ApiValue
    """The workload's member of `status.results`: small, typed, every number finite."""
    artefacts: tuple[Artefact, ...] = ()


class WorkloadContext(ABC):
    """The workload's way to the agent.

    Reports are queued and return at once; call them on the event loop's thread (from another one
    through `loop.call_soon_threadsafe`). A report that repeats what is known already is harmless.
    """

    session: SessionRef
    media: MediaAddress
    artefact_dir: Path
    """An empty folder of this workload's own."""
    volumes_dir: Path
    """The session's volumes lie below it, by the names in `podstream_core.names`."""
    shared_dir: Path
    """A folder of all the session's workloads, for the sockets by which they reach each other."""

    @abstractmethod
    def ready(self) -> None:
        """A client can connect. Before this the agent answers NotReady for the workload."""

    @abstractmethod
    def established(self, connection_id: str) -> None:
        """The client is really there: media or bytes flow (WebRTC: ICE and DTLS are up).

        A connection that is not established within 30 s of its admission is ended by the agent.
        """

    @abstractmethod
    def lost(self, connection_id: str, *, reason: str = "") -> None:
        """The connection is over, by the client's will or not; its slot stays reserved a while.

        Not needed after the agent's own `disconnect`, harmless though.
        """

    @abstractmethod
    def first_frame(self) -> None:
        """The first frame (or first unit of work) has left for the client: `firstFrameAt`."""

    @abstractmethod
    def results_changed(self) -> None:
        """`results` would give new figures. Call as often as they change: reads are coalesced."""

    @abstractmethod
    def done(self) -> None:
        """A finite workload has finished: the session completes when all finite ones have."""

    @abstractmethod
    def fail(self, reason: str, message: str) -> None:
        """The workload cannot go on; the session fails with this CamelCase reason."""


class Workload(ABC):
    """One kind of work; subclasses take no constructor arguments."""

    name: ClassVar[str]
    """Member of the session's spec that this workload serves."""
    roles: ClassVar[Mapping[str, int]]
    """Role of a connection -> how many may be taken at once; at least one role."""
    observers: ClassVar[frozenset[str]] = frozenset()
    """Roles that only look on: the session does not begin, live or end by them."""

    @abstractmethod
    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        """Take the session. Called once; report `context.ready()` here or later.

        Raises:
            SpecRejected: the spec cannot be served.
        """

    @property
    @abstractmethod
    def is_finite(self) -> bool:
        """Whether the workload will report `done` by itself. Asked after `configure`."""

    @property
    def capacities(self) -> Mapping[str, int]:
        """Slots of this session, by role. Asked after `configure`; a spec may set them."""
        return self.roles

    @property
    def flush_seconds(self) -> float:
        """What `flush` may take; 0 where there is nothing to flush. Asked after `configure`."""
        return 0.0

    async def update(self, live: LiveSpec) -> None:
        """Follow the members of the spec that change while a session lives; returns when it does.

        Called with a changed value, within 2 s. Workloads without such members need not override
        it.
        """
        return

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        """Answer a WHEP client's offer. The offer has no candidates; the answer has all of its own.

        Returns before media flows: report `established` when it does. May be called again with a
        new id after `disconnect` or `lost`, by the same client or another.

        Raises:
            BadOffer: the offer cannot be read.
            UnsupportedOffer: the offer lacks what the workload needs.
            NotReady: not yet; the router tries again.
        """
        raise UnsupportedOffer(f"workload {self.name} does not speak WHEP")

    async def connect_stream(self, connection: Connection, *, sock: socket.socket) -> None:
        """Take over a client's TCP connection.

        The socket is connected and non-blocking, and nothing was read past the router's preamble.
        The workload owns it from here on and closes it, also when it raises. Returns once the
        connection is served by a task of the workload's own.

        Raises:
            UnsupportedOffer: the workload does not speak `connection.protocol`.
        """
        sock.close()
        raise UnsupportedOffer(f"workload {self.name} does not speak {connection.protocol}")

    async def move_media(self, *, port: int, address: tuple[str, int]) -> bool:
        """Send from now on to another address: the connection's packets come from there now.

        Called when another router replica has begun to forward a client. Workloads without media
        of their own need not override it.

        Args:
            port: UDP port of the pod on which the connection listens.
            address: IP address and port that replace the client's present ones.

        Returns:
            Whether a connection of this workload listens there and has been moved.
        """
        return False

    @abstractmethod
    async def disconnect(self, connection_id: str) -> None:
        """End a connection; unknown ids are ignored. Afterwards nothing of it is left."""

    @abstractmethod
    async def results(self) -> WorkloadResults:
        """What was measured so far; quick, because it is asked about twice a second."""

    @abstractmethod
    async def drain(self) -> None:
        """End all connections and bring the figures to their last value, within 3 s.

        Afterwards `results` gives the final figures and no report is expected any more.
        """

    async def flush(self) -> None:
        """Bring away what would be lost with the pod, after `drain`; cancelled when time is over.

        The session is not over before this has returned; the agent asks for results as ever.
        Workloads whose `flush_seconds` is 0 are not called.
        """
        return
