"""Volumes of tracking sessions: what they keep, what they read, and whose token they hold."""

from typing import Any

from podstream_core import names
from podstream_core.api import (
    CommonSpec,
    ModelFile,
    MountedFile,
    PublicKeyRef,
    Rekognition,
    SecretKeyRef,
    Tracking,
    TrackingCamera,
    TrackingOrchestrator,
)
from podstream_operator.resources.names import session_secret_name
from podstream_operator.resources.volumes import NO_VOLUMES, PodVolumes, claim, mounted


def tracking_volumes(spec: CommonSpec) -> PodVolumes:
    """None for other sessions."""
    tracking = spec.tracking
    if tracking is None:
        return NO_VOLUMES
    found = NO_VOLUMES if tracking.orchestrator is None else _of_site(tracking.orchestrator)
    looks = tracking.camera or tracking.edge
    if looks is not None:
        found += _file("model", looks.detector.model, path=names.TRACKING_MODEL)
    if tracking.camera is not None:
        found += _of_camera(tracking.camera)
    if tracking.recognition is not None:
        found += _file("gallery", tracking.recognition.gallery, path=names.TRACKING_GALLERY)
        found += _of_rekognition(tracking.recognition.rekognition)
    return found + _token(tracking)


def _of_site(site: TrackingOrchestrator) -> PodVolumes:
    found = NO_VOLUMES
    if site.timelines.volume is not None:
        kept = claim(site.timelines.volume.claim_name)
        found += mounted("timelines", kept, path=names.TRACKING_TIMELINES)
    database = site.timelines.postgresql
    if database is not None:
        url = _one_key(database.url_secret_ref, path=names.DATABASE_URL)
        found += mounted("database", url, path=names.TRACKING_DATABASE, read_only=True)
    if site.auth is not None:
        key = _key(site.auth.public_key)
        found += mounted("tracking-auth", key, path=names.TRACKING_AUTH, read_only=True)
    return found


def _of_camera(camera: TrackingCamera) -> PodVolumes:
    found = _mounted_file("source", camera.source.file, path=names.TRACKING_SOURCE)
    found += _mounted_file("truth", camera.truth, path=names.TRACKING_TRUTH)
    if camera.token_secret_ref is not None:
        token = _one_key(camera.token_secret_ref, path=names.SECRET_TOKEN_KEY)
        found += mounted("token", token, path=names.TRACKING_TOKEN, read_only=True)
    return found


def _mounted_file(name: str, file: MountedFile | None, *, path: str) -> PodVolumes:
    if file is None:
        return NO_VOLUMES
    if file.claim_name is not None:
        source = claim(file.claim_name, read_only=True)
    else:
        source = {"configMap": {"name": file.config_map_name}}
    return mounted(name, source, path=path, read_only=True)


def _of_rekognition(settings: Rekognition | None) -> PodVolumes:
    if settings is None:
        return NO_VOLUMES
    secret = {"secret": {"secretName": settings.credentials_secret_ref.name}}
    found = mounted("credentials", secret, path=names.TRACKING_CREDENTIALS, read_only=True)
    if settings.faces is not None:
        faces = claim(settings.faces.claim_name, read_only=True)
        found += mounted("faces", faces, path=names.TRACKING_FACES, read_only=True)
    return found


def _file(name: str, file: ModelFile | None, *, path: str) -> PodVolumes:
    if file is None:
        return NO_VOLUMES
    return mounted(name, claim(file.claim_name, read_only=True), path=path, read_only=True)


def _token(tracking: Tracking) -> PodVolumes:
    """The client token of the session that this one reaches; the pod waits until it is there."""
    if tracking.dials is None:
        return NO_VOLUMES
    secret = {
        "secretName": session_secret_name(tracking.dials.name),
        "items": [{"key": names.SECRET_TOKEN_KEY, "path": names.SECRET_TOKEN_KEY}],
    }
    return mounted("peer", {"secret": secret}, path=names.TRACKING_PEER, read_only=True)


def _one_key(reference: SecretKeyRef, *, path: str) -> dict[str, Any]:
    """One value of a Secret as a file. The pod waits until it is there."""
    items = [{"key": reference.key, "path": path}]
    return {"secret": {"secretName": reference.name, "items": items}}


def _key(reference: PublicKeyRef) -> dict[str, Any]:
    """The one key of the object, whatever else it holds."""
    items = [{"key": reference.key, "path": names.TRACKING_PUBLIC_KEY}]
    if reference.secret_name is not None:
        return {"secret": {"secretName": reference.secret_name, "items": items}}
    return {"configMap": {"name": reference.config_map_name, "items": items}}
