"""What the router knows of sessions, pools and pods: frozen, and only what routing needs."""

from dataclasses import dataclass
from datetime import datetime

from podstream_core.api import PoolKey, SessionKey
from podstream_core.assignment import AssignedPod


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRoute:
    """What the router needs to know of a StreamSession."""

    key: SessionKey
    uid: str
    created: datetime
    public: bool
    """Whether clients come without a token."""
    workloads: tuple[str, ...] = ()
    """Those that clients connect to, in the order of the API."""
    listeners: tuple[str, ...] = ()
    pool: str = ""
    """Name of the pool that a connection's session came from."""
    assigned: AssignedPod | None = None
    """The pod that a router has assigned before the session existed."""
    client_address: str = ""
    """Where the first connection came from."""
    phase: str = ""
    ended: str = ""
    """Why no connection is taken any more, as a sentence; empty while the session lives."""
    results: bytes = b""
    """JSON of `status.results`, for clients that ask after the pod has gone."""

    @property
    def pool_key(self) -> PoolKey | None:
        """The pool that a connection's session came from."""
        return PoolKey(self.key.namespace, self.pool) if self.pool else None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects of the client tokens that open this session."""
        return (self.uid,) if self.assigned is None else (self.uid, self.assigned.assignment_id)

    def assignment_id(self, pod_uid: str) -> str:
        """The id under which a pod belongs to this session (`podstream_core.assignment`)."""
        if self.assigned is not None and self.assigned.pod_uid == pod_uid:
            return self.assigned.assignment_id
        return self.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRoute:
    """What the router needs to know of a StreamPool."""

    key: PoolKey
    uid: str
    created: datetime
    public: bool
    """Whether clients come without a token."""
    template: bytes
    """JSON of `spec.template.spec`: members that this router does not know reach the pod too."""
    workloads: tuple[str, ...] = ()
    """Those that clients connect to, in the order of the API."""
    listeners: tuple[str, ...] = ()
    max: int = 10
    """Pods at a time, idle and in use."""
    max_per_source: int = 0
    """Live sessions of the connections of one client address; 0: no limit."""
    shape: str = ""
    """Shape of the pods that the template asks for now; empty while it is not known."""
    deadline_s: int = 3600
    """Longest life of a session, seconds."""
    ended: str = ""
    """Why no connection is taken any more, as a sentence; empty while the pool lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRoute:
    """A session pod that has not ended."""

    namespace: str
    name: str
    uid: str
    ip: str
    """Empty while it has none."""
    owner_uid: str
    """UID of its controller: its session, or its pool while it belongs to none."""
    created: datetime
    session: SessionKey | None = None
    pool: str = ""
    """Name of the pool that it was started for."""
    shape: str = ""
    running: bool = True
    """Whether it has an address and its agent runs, so that connections can be tried."""
    ready: bool = True
    """Whether its agent says that it takes assignments."""

    @property
    def pool_key(self) -> PoolKey | None:
        """The pool that it was started for."""
        return PoolKey(self.namespace, self.pool) if self.pool else None
