"""What operator, router and agent say to each other (docs/adr/0002-contract.md)."""

from podstream_core.agentapi.messages import (
    ANONYMOUS,
    ENDED_BY_USER,
    AgentPhase,
    AgentState,
    Assignment,
    AssignRequest,
    ConnectionGrant,
    ConnectionInfo,
    ErrorBody,
    Failure,
    MediaPath,
    Protocol,
    SessionRef,
    SpecUpdate,
)

__all__ = [
    "ANONYMOUS",
    "ENDED_BY_USER",
    "AgentPhase",
    "AgentState",
    "AssignRequest",
    "Assignment",
    "ConnectionGrant",
    "ConnectionInfo",
    "ErrorBody",
    "Failure",
    "MediaPath",
    "Protocol",
    "SessionRef",
    "SpecUpdate",
]
