"""Volumes of a pod beside its scratch space, and where they are mounted."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PodVolumes:
    """Volumes and their mounts, as Kubernetes writes them."""

    volumes: list[dict[str, Any]]
    mounts: list[dict[str, Any]]

    def __add__(self, other: "PodVolumes") -> "PodVolumes":
        """Both."""
        return PodVolumes(self.volumes + other.volumes, self.mounts + other.mounts)
