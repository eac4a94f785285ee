"""Volumes of tracking sessions: what they keep, what they read, and whose token they hold."""

from typing import Any

from podstream_core import names
from podstream_core.api import CommonSpec, ModelFile, PublicKeyRef, Tracking, TrackingOrchestrator
from podstream_operator.resources.volumes import PodVolumes

_NONE = PodVolumes([], [])


def tracking_volumes(spec: CommonSpec) -> PodVolumes:
    """None for other sessions."""
    tracking = spec.tracking
    if tracking is None:
        return _NONE
    found = _NONE if tracking.orchestrator is None else _of_site(tracking.orchestrator)
    looks = tracking.camera or tracking.edge
    if looks is not None:
        found += _file("model", looks.detector.model, path=names.TRACKING_MODEL)
    if tracking.camera is not None:
        found += _file("source", tracking.camera.source.file, path=names.TRACKING_SOURCE)
    if tracking.recognition is not None:
        found += _file("gallery", tracking.recognition.gallery, path=names.TRACKING_GALLERY)
    return found + _token(tracking)


def dials_label(spec: CommonSpec) -> dict[str, str]:
    """The label of a pod that reaches another session; none on all others."""
    if spec.tracking is None or spec.tracking.dials is None:
        return {}
    return {names.LABEL_DIALS: names.DIALS_ROUTER}


def _of_site(site: TrackingOrchestrator) -> PodVolumes:
    found = _NONE
    if site.timelines.volume is not None:
        claim = {"claimName": site.timelines.volume.claim_name}
        found += _mounted(
            "timelines", {"persistentVolumeClaim": claim}, path=names.TRACKING_TIMELINES
        )
    if site.auth is not None:
        key = _key(site.auth.public_key)
        found += _mounted("tracking-auth", key, path=names.TRACKING_AUTH, read_only=True)
    return found


def _file(name: str, file: ModelFile | None, *, path: str) -> PodVolumes:
    if file is None:
        return _NONE
    claim = {"claimName": file.claim_name, "readOnly": True}
    return _mounted(name, {"persistentVolumeClaim": claim}, path=path, read_only=True)


def _token(tracking: Tracking) -> PodVolumes:
    """The client token of the session that this one reaches; the pod waits until it is there."""
    if tracking.dials is None:
        return _NONE
    secret = {
        "secretName": f"{tracking.dials.name}-access",
        "items": [{"key": names.SECRET_TOKEN_KEY, "path": names.SECRET_TOKEN_KEY}],
    }
    return _mounted("peer", {"secret": secret}, path=names.TRACKING_PEER, read_only=True)


def _mounted(
    name: str, source: dict[str, Any], *, path: str, read_only: bool = False
) -> PodVolumes:
    mount: dict[str, Any] = {"name": name, "mountPath": f"{names.VOLUMES_PATH}/{path}"}
    if read_only:
        mount["readOnly"] = True
    return PodVolumes([{"name": name, **source}], [mount])


def _key(reference: PublicKeyRef) -> dict[str, Any]:
    """The one key of the object, whatever else it holds."""
    items = [{"key": reference.key, "path": names.TRACKING_PUBLIC_KEY}]
    if reference.secret_name is not None:
        return {"secret": {"secretName": reference.secret_name, "items": items}}
    return {"configMap": {"name": reference.config_map_name, "items": items}}
