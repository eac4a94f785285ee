"""Talking to the agents of session pods."""

from podstream_operator.agents.client import AgentClient
from podstream_operator.agents.http_client import AddressResolver, HttpAgentClient, pod_address

__all__ = ["AddressResolver", "AgentClient", "HttpAgentClient", "pod_address"]
