"""What the operator knows when it decides: frozen values, parsed once, without any I/O."""

from podstream_operator.facts.agent import AgentRefusal, AgentReply, AgentUnreachable
from podstream_operator.facts.memory import Memory, Observed, PodMemory
from podstream_operator.facts.pod import PodFacts, Terminated, Waiting
from podstream_operator.facts.pools import (
    NO_OFFER,
    Offer,
    PooledPod,
    PoolMemory,
    PoolObserved,
    Use,
    confirms,
    expected_assignment,
    is_idle,
)
from podstream_operator.facts.rejection import Rejection
from podstream_operator.facts.secret import SecretFacts
from podstream_operator.facts.site import Site

__all__ = [
    "NO_OFFER",
    "AgentRefusal",
    "AgentReply",
    "AgentUnreachable",
    "Memory",
    "Observed",
    "Offer",
    "PodFacts",
    "PodMemory",
    "PoolMemory",
    "PoolObserved",
    "PooledPod",
    "Rejection",
    "SecretFacts",
    "Site",
    "Terminated",
    "Use",
    "Waiting",
    "confirms",
    "expected_assignment",
    "is_idle",
]
