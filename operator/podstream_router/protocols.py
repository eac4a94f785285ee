"""Which workload of a session answers which protocol, and in which role."""

from collections.abc import Sequence
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_router.errors import UnknownSession
from podstream_router.routes import SessionRoute

VIEWER: Final = "viewer"
"""Role of clients that only look on: many, on a session that lives by others."""
_ROLES: Final = {
    Protocol.WHEP: {"circle": "player", "stream": VIEWER},
    Protocol.WHIP: {"circle": "player", "stream": "publisher", "tracking": "publisher"},
    Protocol.SIGNALLING: {"circle": "player"},
    Protocol.GRPC: {"imageOps": "caller"},
    Protocol.TCP: {"stream": "publisher"},
    Protocol.MJPEG: {"stream": VIEWER},
    Protocol.VIEW: {"stream": VIEWER},
    Protocol.HTTP: {"tracking": "caller"},
}
"""Workload to role, per protocol; over HTTP the path may say another one (`web_roles` of core)."""


def workload_for(session: SessionRoute, *, protocol: Protocol) -> tuple[str, str]:
    """The session's first workload that speaks a protocol, and the client's role.

    Raises:
        UnknownSession: the session has no such workload.
    """
    return require_workload(session.workloads, protocol=protocol, target=str(session.key))


def require_workload(
    workloads: Sequence[str], *, protocol: Protocol, target: str
) -> tuple[str, str]:
    """The first workload that speaks a protocol, and the client's role.

    Raises:
        UnknownSession: there is no such workload.
    """
    roles = _ROLES[protocol]
    for name in workloads:
        if name in roles:
            return name, roles[name]
    raise UnknownSession(f"{target} has no workload that speaks {protocol.value}")


def is_looked_at(session: SessionRoute | None, *, protocol: Protocol) -> bool:
    """Whether a client that speaks this protocol is a viewer of this session."""
    if session is None:
        return False
    roles = _ROLES[protocol]
    return next((roles[name] for name in session.workloads if name in roles), "") == VIEWER
