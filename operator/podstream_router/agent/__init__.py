"""Speaks to the agents of session pods: the only part that knows their addresses and tokens."""

from podstream_router.agent.client import AgentClient, Assigned, Lost, WhepAnswer
from podstream_router.agent.stream import STREAM_BUFFER_BYTES, PodStream, RawStream
from podstream_router.agent.transport import KeysUnknown, Transport

__all__ = [
    "STREAM_BUFFER_BYTES",
    "AgentClient",
    "Assigned",
    "KeysUnknown",
    "Lost",
    "PodStream",
    "RawStream",
    "Transport",
    "WhepAnswer",
]
