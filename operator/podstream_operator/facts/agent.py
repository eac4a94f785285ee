"""What came of asking a session pod's agent."""

from dataclasses import dataclass

from podstream_core.agentapi import AgentState


@dataclass(frozen=True, slots=True)
class AgentUnreachable:
    """No answer: the agent is not up yet, or the pod is gone from the network."""

    cause: str


@dataclass(frozen=True, slots=True)
class AgentRefusal:
    """The agent answered, and refused."""

    status: int
    """HTTP status."""
    error: str
    """CamelCase code of the refusal, as `AlreadyAssigned` or `InvalidToken`."""
    message: str

    @property
    def is_success(self) -> bool:
        """Whether the call was accepted after all, with an answer that is no state."""
        return 200 <= self.status < 300  # noqa: PLR2004


AgentReply = AgentState | AgentUnreachable | AgentRefusal
"""Every outcome of a call to an agent; outcomes are values, not exceptions."""
