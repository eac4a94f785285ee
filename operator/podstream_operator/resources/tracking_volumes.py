"""Volumes of a site: its timelines, and the key by which its users' tokens are checked."""

from typing import Any

from podstream_core import names
from podstream_core.api import CommonSpec, PublicKeyRef
from podstream_operator.resources.volumes import PodVolumes

_TIMELINES = "timelines"
_AUTH = "tracking-auth"


def tracking_volumes(spec: CommonSpec) -> PodVolumes:
    """None for other sessions, and for sites without tokens that keep nothing."""
    site = spec.tracking.orchestrator if spec.tracking is not None else None
    found = PodVolumes([], [])
    if site is None:
        return found
    if site.timelines.volume is not None:
        claim = {"claimName": site.timelines.volume.claim_name}
        found += PodVolumes(
            [{"name": _TIMELINES, "persistentVolumeClaim": claim}],
            [
                {
                    "name": _TIMELINES,
                    "mountPath": f"{names.VOLUMES_PATH}/{names.TRACKING_TIMELINES}",
                }
            ],
        )
    if site.auth is not None:
        found += PodVolumes(
            [{"name": _AUTH, **_key(site.auth.public_key)}],
            [
                {
                    "name": _AUTH,
                    "mountPath": f"{names.VOLUMES_PATH}/{names.TRACKING_AUTH}",
                    "readOnly": True,
                }
            ],
        )
    return found


def _key(reference: PublicKeyRef) -> dict[str, Any]:
    """The one key of the object, whatever else it holds."""
    items = [{"key": reference.key, "path": names.TRACKING_PUBLIC_KEY}]
    if reference.secret_name is not None:
        return {"secret": {"secretName": reference.secret_name, "items": items}}
    return {"configMap": {"name": reference.config_map_name, "items": items}}
