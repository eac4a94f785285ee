"""Where clients find the router of this installation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """Addresses that `status.endpoints` is built from."""

    external_url: str
    """Base URL of the router as clients outside the cluster reach it, without a trailing slash."""
    cluster_url: str
    """Base URL of the router as pods reach it, without a trailing slash."""
    signalling_address: str
    """`host:port` of the signalling listener from outside the cluster."""
    signalling_cluster_address: str
    """`host:port` of the signalling listener from a pod."""
    grpc_address: str = ""
    """`host:port` of the gRPC listener from outside the cluster; empty where there is none."""
    grpc_cluster_address: str = ""
    frames_address: str = ""
    """`host:port` of the listener for raw frames, likewise."""
    frames_cluster_address: str = ""
    """`host:port` of the gRPC listener from a pod."""
