"""Folders of this machine that stand for the volumes of a session (`--mount NAME=DIR`).

In a pod the kubelet mounts ConfigMaps and claims below one folder; here links do.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from podstream_core import names
from podstream_core.api import CommonSpec, Tracking, TrackingOrchestrator, TrackingRecognition
from podstream_workloads.local.spec_file import SpecError


@dataclass(frozen=True, slots=True)
class _Volume:
    member: str
    """Of the spec, with its path."""
    name: str
    """Of the ConfigMap or claim."""
    place: str
    """Below the folder of all volumes."""
    item: tuple[str, str] | None = None
    """Of a Secret or ConfigMap of which one key alone is mounted: key, and name of its file."""


def parse_mount(text: str) -> tuple[str, Path]:
    """`NAME=DIR` in two parts.

    Raises:
        argparse.ArgumentTypeError: there is no `=`, no name, or no folder.
    """
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"must be NAME=DIR, is {text!r}")
    return name, Path(folder)


def lay_out(spec: CommonSpec, *, mounts: Mapping[str, Path], folder: Path) -> None:
    """Link the volumes of a spec below `folder`.

    Raises:
        SpecError: a volume has no folder, a folder is missing, or a name is not the session's.
    """
    volumes = list(_volumes(spec))
    known = {volume.name for volume in volumes}
    wrong = [
        f"--mount {name}: no volume of the session; it has {', '.join(sorted(known)) or 'none'}"
        for name in mounts
        if name not in known
    ]
    wrong += [
        f"{volume.member}: {volume.name} is in a cluster; name a folder that stands for it: "
        f"--mount {volume.name}=DIR"
        for volume in volumes
        if volume.name not in mounts
    ]
    wrong += [
        f"--mount {name}={path}: there is no such folder"
        for name, path in mounts.items()
        if name in known and not path.is_dir()
    ]
    if wrong:
        raise SpecError("\n".join(wrong))
    for volume in volumes:
        link, target = folder / volume.place, mounts[volume.name].absolute()
        if volume.item is not None:
            key, name = volume.item
            link, target = link / name, target / key
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _volumes(spec: CommonSpec) -> Iterator[_Volume]:
    batch = spec.image_ops.batch if spec.image_ops is not None else None
    if batch is not None:
        member = "spec.imageOps.batch"
        if batch.input.config_map is not None:
            yield _Volume(f"{member}.input.configMap", batch.input.config_map, names.BATCH_INPUT)
        elif batch.input.volume is not None:
            claim = batch.input.volume.claim_name
            yield _Volume(f"{member}.input.volume.claimName", claim, names.BATCH_INPUT)
        if batch.output is not None:
            yield _Volume(f"{member}.output.claimName", batch.output.claim_name, names.BATCH_OUTPUT)
    file = spec.stream.source.file if spec.stream is not None else None
    if file is not None and file.claim_name is not None:
        yield _Volume("spec.stream.source.file.claimName", file.claim_name, names.SOURCE)
    recording = spec.stream.recording if spec.stream is not None else None
    if recording is not None and recording.volume is not None:
        claim = recording.volume.claim_name
        yield _Volume("spec.stream.recording.volume.claimName", claim, names.RECORDINGS)
    if recording is not None and recording.s3 is not None:
        secret = recording.s3.credentials_secret_ref.name
        member = "spec.stream.recording.s3.credentialsSecretRef.name"
        yield _Volume(member, secret, names.RECORDING_S3)
    if spec.tracking is not None:
        yield from _tracking(spec.tracking)


def _tracking(tracking: Tracking) -> Iterator[_Volume]:
    if tracking.orchestrator is not None:
        yield from _site(tracking.orchestrator)
    if tracking.camera is not None:
        camera, member = tracking.camera, "spec.tracking.camera"
        for file, path, place in (
            (camera.source.file, f"{member}.source.file", names.TRACKING_SOURCE),
            (camera.truth, f"{member}.truth", names.TRACKING_TRUTH),
        ):
            if file is not None:
                yield _Volume(path, file.claim_name or file.config_map_name or "", place)
        token = camera.token_secret_ref
        if token is not None:
            item = (token.key, names.SECRET_TOKEN_KEY)
            yield _Volume(f"{member}.tokenSecretRef", token.name, names.TRACKING_TOKEN, item)
    for looks, member in (
        (tracking.camera, "spec.tracking.camera"),
        (tracking.edge, "spec.tracking.edge"),
    ):
        if looks is not None and looks.detector.model is not None:
            model = looks.detector.model.claim_name
            yield _Volume(f"{member}.detector.model", model, names.TRACKING_MODEL)
    if tracking.recognition is not None:
        yield from _cloud(tracking.recognition)


def _site(site: TrackingOrchestrator) -> Iterator[_Volume]:
    member = "spec.tracking.orchestrator"
    volume, database = site.timelines.volume, site.timelines.postgresql
    if volume is not None:
        yield _Volume(f"{member}.timelines.volume", volume.claim_name, names.TRACKING_TIMELINES)
    if database is not None:
        url = database.url_secret_ref
        path, place = f"{member}.timelines.postgresql.urlSecretRef", names.TRACKING_DATABASE
        yield _Volume(path, url.name, place, (url.key, names.DATABASE_URL))
    if site.auth is not None:
        key = site.auth.public_key
        name = key.secret_name or key.config_map_name or ""
        item = (key.key, names.TRACKING_PUBLIC_KEY)
        yield _Volume(f"{member}.auth.publicKey", name, names.TRACKING_AUTH, item)


def _cloud(cloud: TrackingRecognition) -> Iterator[_Volume]:
    member = "spec.tracking.recognition"
    if cloud.gallery is not None:
        yield _Volume(f"{member}.gallery", cloud.gallery.claim_name, names.TRACKING_GALLERY)
    aws = cloud.rekognition
    if aws is not None:
        secret = aws.credentials_secret_ref.name
        path = f"{member}.rekognition.credentialsSecretRef"
        yield _Volume(path, secret, names.TRACKING_CREDENTIALS)
        if aws.faces is not None:
            faces = aws.faces.claim_name
            yield _Volume(f"{member}.rekognition.faces", faces, names.TRACKING_FACES)
