"""Bodies and claims of the agent's APIs, as frozen values (camelCase JSON)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from podstream_core.api.base import ApiValue
from podstream_core.api.live import LiveSpec
from podstream_core.api.session import SessionKey, SessionSpec
from podstream_core.api.status import Results, Timeline


class SessionRef(ApiValue, frozen=True, kw_only=True):
    """Which session a pod works for."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> SessionKey:
        """Namespace and name."""
        return SessionKey(self.namespace, self.name)


class AssignRequest(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /assign`."""

    token: str
    """JWT of type ASSIGNMENT whose claims are an `Assignment`."""


class Assignment(ApiValue, frozen=True, kw_only=True):
    """Claims of an assignment token, beside the registered ones."""

    assignment_id: str
    """The session's UID when the operator assigns."""
    session: SessionRef
    spec: SessionSpec


class Protocol(StrEnum):
    """How a client speaks to its session."""

    WHEP = "WHEP"
    """WebRTC by HTTP: the client offers and receives."""
    WHIP = "WHIP"
    """WebRTC by HTTP (RFC 9725): the client offers and sends."""
    GRPC = "gRPC"
    """gRPC over cleartext HTTP/2."""
    SIGNALLING = "Signalling"
    """Newline-JSON WebRTC signalling over TCP; the server offers."""
    TCP = "TCP"
    """Bytes that only client and workload understand."""
    MJPEG = "MJPEG"
    """The stream as JPEG pictures over HTTP, for browsers (`multipart/x-mixed-replace`)."""
    VIEW = "View"
    """The stream as raw frames, as its publisher sends them."""
    HTTP = "HTTP"
    """HTTP/1.1 and WebSockets, which only client and workload understand."""


ANONYMOUS: Final = "anonymous-"
"""How the holder of a client without a token begins."""


class ConnectionGrant(ApiValue, frozen=True, kw_only=True):
    """Claims of a connection token: the router vouches for this client."""

    session_uid: str
    """The id under which the pod was assigned (`podstream_core.assignment`)."""
    workload: str
    role: str
    protocol: Protocol
    holder: str
    """Stable for one client: digest of its token, or `ANONYMOUS` and random where it shows none."""
    client_address: str = ""
    """For logs and status; without a token also what tells one client from another."""

    def is_of_client(self, other: "ConnectionGrant") -> bool:
        """Whether both were given to one client, as far as can be told.

        A token tells for sure; a client without one is known by its address.
        """
        if self.holder == other.holder:
            return True
        is_anonymous = self.holder.startswith(ANONYMOUS) or other.holder.startswith(ANONYMOUS)
        return is_anonymous and self.client_address == other.client_address


class ConnectionInfo(ApiValue, frozen=True, kw_only=True):
    """A slot that is taken."""

    id: str
    workload: str
    role: str
    protocol: Protocol
    since: datetime
    connected: bool
    """False while the slot is only reserved for a client that may return."""
    client_address: str = ""
    observer: bool = False
    """It only looks on: the session neither waits for it nor lives by it."""


class AgentPhase(StrEnum):
    """Where an agent stands."""

    IDLE = "Idle"
    """Up, not assigned."""
    STARTING = "Starting"
    """Assigned, workloads not ready yet."""
    READY = "Ready"
    """A client can connect."""
    CONNECTED = "Connected"
    """At least one slot is taken (also while its client may return)."""
    DRAINING = "Draining"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        """Whether results are final."""
        return self in (AgentPhase.COMPLETED, AgentPhase.FAILED)


ENDED_BY_USER: Final = "EndedByUser"
"""Reason of a drain that somebody has asked for: the regular end of a session without an end of its
own."""


class Failure(ApiValue, frozen=True, kw_only=True):
    """Why a session failed."""

    reason: str
    """CamelCase, as in conditions: WorkloadCrashed, SpecRejected, Drained."""
    message: str


class AgentState(ApiValue, frozen=True, kw_only=True):
    """Body of `GET /state` and of a successful `POST /assign`."""

    pod_uid: str
    phase: AgentPhase
    assignment_id: str | None = None
    session: SessionRef | None = None
    failure: Failure | None = None
    timeline: Timeline = Timeline()
    """Filled from assignedAt on; appliedAt and podReadyAt are the operator's."""
    connections: list[ConnectionInfo] = []
    results: Results | None = None
    live: LiveSpec | None = None
    """What the workloads follow; unset while nothing is assigned."""


class SpecUpdate(ApiValue, frozen=True, kw_only=True):
    """Body of `PUT /spec`: members of the session's spec have changed."""

    assignment_id: str
    """The pod's own; another one is refused."""
    generation: Annotated[int, msgspec.Meta(ge=0)]
    """`metadata.generation` of the session; an older one than the last has no effect."""
    live: LiveSpec


class MediaPath(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /media-path`: from now on a client is reached by another address."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    """UDP port of the pod on which the client's connection listens."""
    address: str
    """IPv4 or IPv6 address that media goes to: the router's that forwards the client now."""
    address_port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class ErrorBody(ApiValue, frozen=True, kw_only=True):
    """Body of every refusal: `error` is a stable CamelCase code, `message` says what to do."""

    error: str
    message: str
    details: dict[str, Any] | None = None
