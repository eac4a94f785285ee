"""How a pod reaches the session that its own refers to: by the router, with its token."""

import os
from dataclasses import dataclass
from pathlib import Path

from podstream_core import names
from podstream_core.api import SessionReference
from podstream_workloads.agent import SpecRejected, WorkloadContext


@dataclass(frozen=True, slots=True)
class PeerSession:
    """Another session of the namespace."""

    url: str
    """Its base URL, without a slash at the end."""
    token_file: Path | None
    """Mounted; to be read anew for each connection, because it may be renewed; none where
    nobody asks for it."""

    @classmethod
    def of(cls, reference: SessionReference, *, context: WorkloadContext) -> "PeerSession":
        """The session that a reference names.

        Raises:
            SpecRejected: the pod was not made for this.
        """
        url = os.environ.get(names.ENV_PEER_URL, "").rstrip("/")
        if url:
            return cls(url=url, token_file=None)
        router = os.environ.get(names.ENV_ROUTER_URL, "").rstrip("/")
        if not router:
            raise SpecRejected(f"{names.ENV_ROUTER_URL} is not set: the pod knows no router")
        return cls(
            url=f"{router}/s/{context.session.namespace}/{reference.name}",
            token_file=context.volumes_dir / names.TRACKING_PEER / names.SECRET_TOKEN_KEY,
        )
