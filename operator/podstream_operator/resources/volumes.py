"""Volumes of a pod beside its scratch space, and where they are mounted."""

from dataclasses import dataclass
from typing import Any, Final

from podstream_core import names


@dataclass(frozen=True, slots=True)
class PodVolumes:
    """Volumes and their mounts, as Kubernetes writes them."""

    volumes: list[dict[str, Any]]
    mounts: list[dict[str, Any]]

    def __add__(self, other: "PodVolumes") -> "PodVolumes":
        """Both."""
        return PodVolumes(self.volumes + other.volumes, self.mounts + other.mounts)


NO_VOLUMES: Final = PodVolumes([], [])


def mounted(name: str, source: dict[str, Any], *, path: str, read_only: bool = False) -> PodVolumes:
    """One volume and its mount.

    Args:
        name: of the volume within the pod.
        source: what Kubernetes takes it from.
        path: where the workload finds it, below its folder of volumes.
        read_only: for the workload.
    """
    mount: dict[str, Any] = {"name": name, "mountPath": f"{names.VOLUMES_PATH}/{path}"}
    if read_only:
        mount["readOnly"] = True
    return PodVolumes([{"name": name, **source}], [mount])


def claim(name: str, *, read_only: bool = False) -> dict[str, Any]:
    """A PersistentVolumeClaim as a volume's source."""
    source: dict[str, Any] = {"claimName": name}
    if read_only:
        source["readOnly"] = True
    return {"persistentVolumeClaim": source}
