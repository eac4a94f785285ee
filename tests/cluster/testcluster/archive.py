"""Writes and reads image archives in Docker's format (what ``docker save`` gives).

containerd, buildah and docker all import it, and it needs nothing but tar and sha256.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testcluster.errors import ClusterError

CREATED = "2026-01-01T00:00:00Z"
"""One fixed time in every image: equal content gives an equal image id."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What a container of the image runs, and as whom."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def document(self, *, diff_id: str, comment: str) -> bytes:
        """Return the image's configuration as the archive holds it."""
        config: dict[str, object] = {
            "Env": [f"{name}={value}" for name, value in self.environment.items()]
        }
        if self.entrypoint:
            config["Entrypoint"] = list(self.entrypoint)
        if self.command:
            config["Cmd"] = list(self.command)
        if self.user:
            config["User"] = self.user
        return json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": CREATED,
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                "history": [{"created": CREATED, "comment": comment}],
            },
            sort_keys=True,
        ).encode()


def write_image(
    target: Path, *, layer: Path, tag: str, config: ImageConfig, comment: str = "podstream tests"
) -> str:
    """Write ``layer`` (an uncompressed tar of the root file system) as an image; return its id."""
    diff = sha256_of(layer)
    document = config.document(diff_id=f"sha256:{diff}", comment=comment)
    image_id = hashlib.sha256(document).hexdigest()
    manifest = [{"Config": f"{image_id}.json", "RepoTags": [tag], "Layers": [f"{diff}/layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _add_bytes(archive, f"{image_id}.json", document)
        _add_file(archive, f"{diff}/layer.tar", layer)
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
    return image_id


def write_layer(target: Path, files: Mapping[str, Path]) -> None:
    """Write a layer of a few programs: path in the image to file here, all 0755 and root's."""
    with tarfile.open(target, "w") as archive:
        for name, source in sorted(files.items()):
            _add_file(archive, name.lstrip("/"), source, mode=0o755)


def image_names(path: Path) -> list[str]:
    """Return the tags in an image archive.

    Raises:
        ClusterError: the file is missing or is no such archive.
    """
    fix = "Write it with `docker save` or `testcluster image build --output`."
    try:
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            if member is None:
                raise KeyError("manifest.json")
            manifest = json.load(member)
    except FileNotFoundError as exc:
        raise ClusterError(f"There is no file {path}.", fix=fix) from exc
    except (KeyError, OSError, tarfile.TarError, json.JSONDecodeError) as exc:
        raise ClusterError(f"{path} is no docker-archive ({exc}).", fix=fix) from exc
    return [tag for image in manifest for tag in image.get("RepoTags") or []]


def sha256_of(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, source: Path, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = source.stat().st_size
    entry.mode = mode
    with source.open("rb") as file:
        archive.addfile(entry, file)
