"""Folders of this machine that stand for the volumes of a session (`--mount NAME=DIR`).

In a pod the kubelet mounts ConfigMaps and claims below one folder; here links do.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from podstream_core import names
from podstream_core.api import CommonSpec
from podstream_workloads.local.spec_file import SpecError


@dataclass(frozen=True, slots=True)
class _Volume:
    member: str
    """Of the spec, with its path."""
    name: str
    """Of the ConfigMap or claim."""
    place: str
    """Below the folder of all volumes."""


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
        link = folder / volume.place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mounts[volume.name].absolute())


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
