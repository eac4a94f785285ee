"""The container that session pods run, as the installation configures it."""

from collections.abc import Mapping
from dataclasses import dataclass

from podstream_core.api import CommonSpec

ResourceList = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionImage:
    """What is the same for all session pods of an installation."""

    image: str
    tracking_image: str
    """For sessions with `spec.tracking`, so that no other one pays for its size."""
    router_url: str
    """Base URL of the router for pods, given to those that reach other sessions."""
    pull_policy: str
    requests: ResourceList
    """Default requests: Kubernetes quantities by resource name."""
    limits: ResourceList
    public_keys: str
    """JWK set with the public halves of the assignment keys."""
    log_level: str
    log_format: str

    def image_for(self, spec: CommonSpec) -> str:
        """The image of a session's server pod."""
        return self.image if spec.tracking is None else self.tracking_image
