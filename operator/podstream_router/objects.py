"""Reads StreamSessions and pods from watch events into routes.

Only the members that routing needs are decoded, so a CRD that is newer than this router, or a
member it would refuse, never takes a session off the routes.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from podstream_core import names
from podstream_core.api import AccessMode, Phase, SessionKey
from podstream_core.api.session import WORKLOADS
from podstream_router.routes import PodRoute, SessionRoute

_RUNNING: Final = "Running"
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
    owner_references: list[_Owner] = []


class _Access(msgspec.Struct, frozen=True):
    mode: str = AccessMode.TOKEN.value


class _SessionSpec(msgspec.Struct, frozen=True):
    access: _Access = _Access()
    listeners: list[str] = []


class _SessionStatus(msgspec.Struct, frozen=True):
    phase: str | None = None
    reason: str | None = None
    results: msgspec.Raw = msgspec.Raw()


class _Session(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: msgspec.Raw
    status: _SessionStatus = _SessionStatus()


class _Terminated(msgspec.Struct, frozen=True):
    terminated: dict[str, Any] | None = None


class _Container(msgspec.Struct, frozen=True):
    name: str
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
        workloads=tuple(name for name in WORKLOADS if name in members),
        listeners=tuple(spec.listeners),
        phase=status.phase or "",
        ended=_end_of(meta, status),
        results=bytes(status.results),
    )


def _end_of(meta: _Meta, status: _SessionStatus) -> str:
    if meta.deletion_timestamp is not None:
        return "the session is being deleted"
    if status.phase in _ENDED:
        reason = f" ({status.reason})" if status.reason else ""
        return f"the session is {status.phase}{reason}"
    return ""


def read_pod(body: msgspec.Raw) -> PodRoute | None:
    """Decode a session pod; `None` while it cannot take connections, or can no longer.

    Raises:
        msgspec.ValidationError: the body is no pod.
    """
    pod = msgspec.json.decode(body, type=_Pod)
    meta, status = pod.metadata, pod.status
    owner = next((item.uid for item in meta.owner_references if item.controller), None)
    session = meta.labels.get(names.LABEL_SESSION)
    exited = any(
        item.name == names.AGENT_CONTAINER and item.state.terminated is not None
        for item in status.container_statuses
    )
    if (
        owner is None
        or session is None
        or meta.labels.get(names.LABEL_ROLE) != names.ROLE_SESSION
        or meta.deletion_timestamp is not None
        or status.phase != _RUNNING
        or not status.pod_ip
        or exited
    ):
        return None
    return PodRoute(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        ip=status.pod_ip,
        session=SessionKey(meta.namespace, session),
        session_uid=owner,
        created=meta.creation_timestamp,
    )


def read_identity(body: msgspec.Raw) -> tuple[SessionKey, str]:
    """Namespace and name, and UID, of any object.

    Raises:
        msgspec.ValidationError: the body is no Kubernetes object.
    """
    meta = msgspec.json.decode(body, type=_Identified).metadata
    return SessionKey(meta.namespace, meta.name), meta.uid
