"""`status.endpoints`: every way that leads to a session or pool through the router."""

from collections.abc import Sequence
from typing import Final

from podstream_core.agentapi import Protocol
from podstream_core.api import CommonSpec, Endpoint, StreamPool, StreamSession
from podstream_core.ports import LISTENERS
from podstream_operator.facts import Site


def _listeners(protocol: str) -> frozenset[str]:
    return frozenset(listener.name for listener in LISTENERS if listener.protocol == protocol)


SIGNALLING_LISTENERS: Final = _listeners("signalling")
GRPC_LISTENERS: Final = _listeners("grpc")
TCP_LISTENERS: Final = _listeners("tcp")


def endpoints_of(session: StreamSession, *, site: Site) -> list[Endpoint]:
    """Ways to a session: those that its workloads speak.

    gRPC needs no listener of its own: calls name the session in their metadata. Signalling clients
    cannot, so `spec.listeners` must name such a listener.
    """
    workloads = session.spec.reached_workloads
    endpoints = []
    if _speaks_webrtc(session.spec):
        endpoints.append(_webrtc(session.spec, path=_session_path(session), site=site))
    if "circle" in workloads:
        endpoints += _signalling(session.spec.listeners, site=site)
    if "imageOps" in workloads:
        endpoints += _grpc(site)
    if "stream" in workloads:
        endpoints += _frames(session.spec.listeners, site=site)
    if session.spec.stream is not None and session.spec.stream.max_viewers:
        endpoints.append(_http("MJPEG", f"{_session_path(session)}/mjpeg", site=site))
        if "circle" not in workloads:  # otherwise its players have the path
            endpoints.append(_http("WHEP", f"{_session_path(session)}/whep", site=site))
    if "tracking" in workloads:
        endpoints.append(_http("HTTP", f"{_session_path(session)}/", site=site))
    return endpoints


def pool_endpoints(pool: StreamPool, *, site: Site) -> list[Endpoint]:
    """Ways to a session of a pool; by gRPC and signalling where `spec.listeners` leads to it."""
    workloads = pool.spec.template.spec.reached_workloads
    endpoints = []
    if _speaks_webrtc(pool.spec.template.spec):
        path = f"/p/{pool.metadata.namespace}/{pool.metadata.name}"
        endpoints.append(_webrtc(pool.spec.template.spec, path=path, site=site))
    if "circle" in workloads:
        endpoints += _signalling(pool.spec.listeners, site=site)
    if "imageOps" in workloads and not GRPC_LISTENERS.isdisjoint(pool.spec.listeners):
        endpoints += _grpc(site)
    if "stream" in workloads:
        endpoints += _frames(pool.spec.listeners, site=site)
    return endpoints


def whep_cluster_url(session: StreamSession, *, site: Site) -> str:
    """Where a pod plays the session."""
    return f"{site.cluster_url}{_session_path(session)}/whep"


def _session_path(session: StreamSession) -> str:
    return f"/s/{session.metadata.namespace}/{session.metadata.name}"


def _speaks_webrtc(spec: CommonSpec) -> bool:
    return "circle" in spec.reached_workloads or spec.is_published


def _webrtc(spec: CommonSpec, *, path: str, site: Site) -> Endpoint:
    """WHIP where the client publishes, else WHEP."""
    protocol = Protocol.WHIP if spec.is_published else Protocol.WHEP
    return _http(protocol.value, f"{path}/{protocol.value.lower()}", site=site)


def _http(protocol: str, path: str, *, site: Site) -> Endpoint:
    return Endpoint(
        protocol=protocol, url=site.external_url + path, cluster_url=site.cluster_url + path
    )


def _signalling(listeners: Sequence[str], *, site: Site) -> list[Endpoint]:
    if SIGNALLING_LISTENERS.isdisjoint(listeners):
        return []
    return [
        Endpoint(
            protocol="Signalling",
            url=f"tcp://{site.signalling_address}",
            cluster_url=f"tcp://{site.signalling_cluster_address}",
        )
    ]


def _grpc(site: Site) -> list[Endpoint]:
    if not site.grpc_address:
        return []
    return [
        Endpoint(
            protocol="gRPC",
            url=f"grpc://{site.grpc_address}",
            cluster_url=f"grpc://{site.grpc_cluster_address}",
        )
    ]


def _frames(listeners: Sequence[str], *, site: Site) -> list[Endpoint]:
    if TCP_LISTENERS.isdisjoint(listeners) or not site.frames_address:
        return []
    return [
        Endpoint(
            protocol="TCP",
            url=f"tcp://{site.frames_address}",
            cluster_url=f"tcp://{site.frames_cluster_address}",
        )
    ]
