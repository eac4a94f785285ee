"""Which workload of a session answers which protocol, and in which role."""

from typing import Final

from podstream_core.agentapi import Protocol
from podstream_router.errors import UnknownSession
from podstream_router.routes import SessionRoute

_ROLES: Final = {
    Protocol.WHEP: {"circle": "player"},
    Protocol.SIGNALLING: {"circle": "player"},
}
"""Workload to role, per protocol."""


def workload_for(session: SessionRoute, *, protocol: Protocol) -> tuple[str, str]:
    """The session's first workload that speaks a protocol, and the client's role.

    Raises:
        UnknownSession: the session has no such workload.
    """
    roles = _ROLES[protocol]
    for name in session.workloads:
        if name in roles:
            return name, roles[name]
    raise UnknownSession(f"session {session.key} has no workload that speaks {protocol.value}")
