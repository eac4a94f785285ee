"""`status.endpoints`: every way that leads to a session through the router."""

from typing import Final

from podstream_core.api import Endpoint, StreamSession
from podstream_core.ports import LISTENERS
from podstream_operator.facts import Site

SIGNALLING_LISTENERS: Final = frozenset(
    listener.name for listener in LISTENERS if listener.protocol == "signalling"
)


def endpoints_of(session: StreamSession, *, site: Site) -> list[Endpoint]:
    """WHEP always; signalling where `spec.listeners` names such a listener."""
    path = _whep_path(session)
    endpoints = [
        Endpoint(protocol="WHEP", url=site.external_url + path, cluster_url=site.cluster_url + path)
    ]
    if not SIGNALLING_LISTENERS.isdisjoint(session.spec.listeners):
        endpoints.append(
            Endpoint(
                protocol="Signalling",
                url=f"tcp://{site.signalling_address}",
                cluster_url=f"tcp://{site.signalling_cluster_address}",
            )
        )
    return endpoints


def whep_cluster_url(session: StreamSession, *, site: Site) -> str:
    """Where a pod plays the session."""
    return site.cluster_url + _whep_path(session)


def _whep_path(session: StreamSession) -> str:
    return f"/s/{session.metadata.namespace}/{session.metadata.name}/whep"
