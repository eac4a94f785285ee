"""What the operator asks of an agent. Every outcome is a value; no call raises."""

from typing import Protocol

from podstream_core.api import LiveSpec, StreamSession
from podstream_operator.facts import AgentReply, PodFacts


class AgentClient(Protocol):
    """Calls of the control API (docs/adr/0002-contract.md)."""

    async def assign(self, pod: PodFacts, *, session: StreamSession) -> AgentReply:
        """Give the session to the pod; a pod that has it already answers with its state."""
        ...

    async def state(self, pod: PodFacts, *, confirm: bool = True) -> AgentReply:
        """Ask for the state. Unless `confirm` is false it tells the agent that it is known of."""
        ...

    async def update(
        self, pod: PodFacts, *, assignment_id: str, generation: int, live: LiveSpec
    ) -> AgentReply:
        """Have the workloads follow changed members of the spec; the state is that afterwards."""
        ...

    async def retire(self, pod: PodFacts) -> AgentReply:
        """End an idle agent, so that nobody can assign it any more; refused by one in use."""
        ...

    async def drain(self, pod: PodFacts, *, reason: str, message: str) -> AgentReply:
        """End the session, then ask for the state."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
