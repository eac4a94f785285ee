"""What the operator knows when it decides: frozen values, parsed once, without any I/O."""

from podstream_operator.facts.agent import AgentRefusal, AgentReply, AgentUnreachable
from podstream_operator.facts.memory import Memory, Observed, Rejection
from podstream_operator.facts.pod import PodFacts, Terminated, Waiting
from podstream_operator.facts.secret import SecretFacts
from podstream_operator.facts.site import Site

__all__ = [
    "AgentRefusal",
    "AgentReply",
    "AgentUnreachable",
    "Memory",
    "Observed",
    "PodFacts",
    "Rejection",
    "SecretFacts",
    "Site",
    "Terminated",
    "Waiting",
]
