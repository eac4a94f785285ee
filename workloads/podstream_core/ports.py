"""The one table of ports.

`LISTENERS` is the order and numbering that users see: the router's Service port, its NodePort and
the port that `kind-config.yaml` maps on the host. The chart's values and `kind-config.yaml` are
held against this table by a contract test.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class ListenerPort:
    """One port of the router as clients reach it."""

    name: str
    port: int
    """Port of the router's Service and of the listening socket, unless that is privileged."""
    node_port: int
    host_port: int
    """Port on the machine that runs KIND."""
    protocol: Literal["http", "grpc", "signalling", "tcp", "media"]

    @property
    def transport(self) -> Literal["TCP", "UDP"]:
        """Transport protocol as Kubernetes writes it."""
        return "UDP" if self.protocol == "media" else "TCP"


LISTENERS: Final = (
    ListenerPort("http", 8080, 30080, 8080, "http"),
    ListenerPort("grpc", 50051, 30051, 50051, "grpc"),
    ListenerPort("signalling", 50052, 30052, 50052, "signalling"),
    ListenerPort("frames", 953, 30953, 953, "tcp"),
    ListenerPort("tracking", 80, 30800, 80, "http"),
    ListenerPort("tracking-tls", 443, 30443, 443, "http"),
    ListenerPort("edge", 5001, 30501, 5001, "http"),
    ListenerPort("cloud", 5000, 30500, 5000, "http"),
    ListenerPort("upload", 5010, 30510, 5010, "http"),
    ListenerPort("media", 3478, 30478, 3478, "media"),
)

AGENT_CONTROL_PORT: Final = 9440
"""Agent's control API: operator, kubelet probes, metrics."""
AGENT_CONNECT_PORT: Final = 9441
"""Agent's HTTP API for connections that the router forwards (WHEP)."""
AGENT_STREAM_PORT: Final = 9442
"""Agent's port for raw TCP connections that the router splices (preamble, then bytes)."""

MEDIA_PORT_FIRST: Final = 20000
MEDIA_PORT_COUNT: Final = 16
"""UDP ports of a session pod that may receive media; a dead peer may hold one for 30 s."""

OPERATOR_HTTP_PORT: Final = 8081
"""Operator: health, metrics, hints from routers."""
ROUTER_ADMIN_PORT: Final = 8082
"""Router: health and metrics."""
