"""Reads StreamSessions, StreamPools and pods from watch events into routes.

Only the members that routing needs are decoded, so a CRD that is newer than this router, or a
member it would refuse, never takes a session off the routes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from podstream_core import names
from podstream_core.api import AccessMode, Phase, PoolKey, SessionKey
from podstream_core.api.session import FROM_STREAM, WORKLOADS
from podstream_core.assignment import AssignedPod
from podstream_router.routes import PodRoute, PoolRoute, SessionRoute

_RUNNING: Final = "Running"
_POD_ENDED: Final = ("Succeeded", "Failed")
_ENDED: Final = frozenset(phase.value for phase in Phase if phase.is_terminal)


class _Owner(msgspec.Struct, frozen=True):
    uid: str
    controller: bool = False


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    uid: str
    creation_timestamp: datetime
    namespace: str
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[_Owner] = []


class _Access(msgspec.Struct, frozen=True):
    mode: str = AccessMode.TOKEN.value


class _Circle(msgspec.Struct, frozen=True):
    source: str = ""


class _SessionSpec(msgspec.Struct, frozen=True):
    access: _Access = _Access()
    circle: _Circle = _Circle()
    listeners: list[str] = []


class _Connection(msgspec.Struct, frozen=True, rename="camel"):
    client_address: str | None = None


class _SessionStatus(msgspec.Struct, frozen=True):
    phase: str | None = None
    reason: str | None = None
    connection: _Connection = _Connection()
    results: msgspec.Raw = msgspec.Raw()


class _Session(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: msgspec.Raw
    status: _SessionStatus = _SessionStatus()


class _Template(msgspec.Struct, frozen=True):
    spec: msgspec.Raw


class _TemplateSpec(msgspec.Struct, frozen=True, rename="camel"):
    access: _Access = _Access()
    circle: _Circle = _Circle()
    active_deadline_seconds: int = 3600


class _PoolSpec(msgspec.Struct, frozen=True, rename="camel"):
    template: _Template
    listeners: list[str] = []
    max: int = 10
    max_per_source: int = 0


class _PoolStatus(msgspec.Struct, frozen=True):
    shape: str | None = None


class _Pool(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _PoolSpec
    status: _PoolStatus = _PoolStatus()


class _Terminated(msgspec.Struct, frozen=True):
    terminated: dict[str, Any] | None = None


class _Container(msgspec.Struct, frozen=True):
    name: str
    ready: bool = False
    state: _Terminated = _Terminated()


class _PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    container_statuses: list[_Container] = []


class _Pod(msgspec.Struct, frozen=True):
    metadata: _Meta
    status: _PodStatus = _PodStatus()


class _Identified(msgspec.Struct, frozen=True):
    metadata: _Meta


def read_session(body: msgspec.Raw) -> SessionRoute:
    """Decode a StreamSession.

    Raises:
        msgspec.ValidationError: the body is no StreamSession.
    """
    session = msgspec.json.decode(body, type=_Session)
    spec = msgspec.json.decode(session.spec, type=_SessionSpec)
    members = msgspec.json.decode(session.spec, type=dict[str, msgspec.Raw])
    meta, status = session.metadata, session.status
    return SessionRoute(
        key=SessionKey(meta.namespace, meta.name),
        uid=meta.uid,
        created=meta.creation_timestamp,
        public=spec.access.mode == AccessMode.PUBLIC,
        workloads=_reached(members, circle=spec.circle),
        listeners=tuple(spec.listeners),
        pool=meta.labels.get(names.LABEL_POOL, ""),
        assigned=AssignedPod.of(meta.annotations),
        client_address=status.connection.client_address or "",
        phase=status.phase or "",
        ended=_end_of(meta, status),
        results=bytes(status.results),
    )


def _reached(members: Mapping[str, object], *, circle: _Circle) -> tuple[str, ...]:
    """Workloads that clients connect to; a circle may look at the frames of the stream instead."""
    looks_on = {"circle"} if circle.source == FROM_STREAM else set()
    return tuple(name for name in WORKLOADS if name in members and name not in looks_on)


def _end_of(meta: _Meta, status: _SessionStatus) -> str:
    if meta.deletion_timestamp is not None:
        return "the session is being deleted"
    if status.phase in _ENDED:
        reason = f" ({status.reason})" if status.reason else ""
        return f"the session is {status.phase}{reason}"
    return ""


def read_pool(body: msgspec.Raw) -> PoolRoute:
    """Decode a StreamPool.

    Raises:
        msgspec.ValidationError: the body is no StreamPool.
    """
    pool = msgspec.json.decode(body, type=_Pool)
    template = pool.spec.template.spec
    spec = msgspec.json.decode(template, type=_TemplateSpec)
    members = msgspec.json.decode(template, type=dict[str, msgspec.Raw])
    meta = pool.metadata
    return PoolRoute(
        key=PoolKey(meta.namespace, meta.name),
        uid=meta.uid,
        created=meta.creation_timestamp,
        public=spec.access.mode == AccessMode.PUBLIC,
        template=bytes(template),
        workloads=_reached(members, circle=spec.circle),
        listeners=tuple(pool.spec.listeners),
        max=pool.spec.max,
        max_per_source=pool.spec.max_per_source,
        shape=pool.status.shape or "",
        deadline_s=spec.active_deadline_seconds,
        ended="the pool is being deleted" if meta.deletion_timestamp is not None else "",
    )


def read_pod(body: msgspec.Raw) -> PodRoute | None:
    """Decode a session pod; `None` where it is none, or has ended or is ending.

    Raises:
        msgspec.ValidationError: the body is no pod.
    """
    pod = msgspec.json.decode(body, type=_Pod)
    meta, status = pod.metadata, pod.status
    owner = next((item.uid for item in meta.owner_references if item.controller), None)
    agents = [item for item in status.container_statuses if item.name == names.AGENT_CONTAINER]
    if (
        owner is None
        or meta.labels.get(names.LABEL_ROLE) != names.ROLE_SESSION
        or meta.deletion_timestamp is not None
        or status.phase in _POD_ENDED
        or any(agent.state.terminated is not None for agent in agents)
    ):
        return None
    session = meta.labels.get(names.LABEL_SESSION)
    running = status.phase == _RUNNING and bool(status.pod_ip)
    return PodRoute(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        ip=status.pod_ip,
        owner_uid=owner,
        created=meta.creation_timestamp,
        session=SessionKey(meta.namespace, session) if session else None,
        pool=meta.labels.get(names.LABEL_POOL, ""),
        shape=meta.labels.get(names.LABEL_SHAPE, ""),
        running=running,
        ready=running and any(agent.ready for agent in agents),
    )


def read_identity(body: msgspec.Raw) -> tuple[SessionKey, str]:
    """Namespace and name, and UID, of any object.

    Raises:
        msgspec.ValidationError: the body is no Kubernetes object.
    """
    meta = msgspec.json.decode(body, type=_Identified).metadata
    return SessionKey(meta.namespace, meta.name), meta.uid
