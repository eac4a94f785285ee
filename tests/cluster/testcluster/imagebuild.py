"""Builds the project's own Dockerfiles, unchanged, wherever it runs.

Docker does it where it works and can get the base images. Otherwise buildah does, with the
stand-ins of ``baseimages`` under the names that the Dockerfiles ask for, without a daemon and
without namespaces of its own (chroot isolation), so that it runs in a container too.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testcluster import baseimages, pipconfig
from testcluster.command import run
from testcluster.console import say, step
from testcluster.errors import ClusterError
from testcluster.locks import alone, locked, shared
from testcluster.packages import ensure_packages

BUILDER_VARIABLE = "PODSTREAM_IMAGE_BUILDER"
_BUILD_TIMEOUT_S = 3600
_LAST_LINES = 30
_KEPT_STAGES = 8


@dataclass(frozen=True, slots=True)
class Request:
    """What to build, and into which docker-archive."""

    tag: str
    dockerfile: Path
    context: Path
    output: Path
    arguments: tuple[str, ...] = ()
    target: str = ""

    def flags(self) -> list[str]:
        """Return the flags that docker and buildah have in common, and the context."""
        flags = [f"--tag={full_name(self.tag)}", f"--file={self.dockerfile}"]
        flags += [f"--build-arg={argument}" for argument in self.arguments]
        flags += [f"--target={self.target}"] if self.target else []
        return [*flags, str(self.context)]


def full_name(tag: str) -> str:
    """Return an image's whole name: docker.io and :latest are what a short one implies."""
    first, slash, _ = tag.partition("/")
    if not slash:
        tag = f"docker.io/library/{tag}"
    elif not ("." in first or ":" in first or first == "localhost"):
        tag = f"docker.io/{tag}"
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


def base_names(dockerfile: str) -> list[str]:
    """Return the images a Dockerfile starts from, whole names, without its own stages."""
    stages: set[str] = set()
    names: list[str] = []
    pattern = r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$"
    for image, stage in re.findall(pattern, dockerfile):
        if image.lower() not in stages and image != "scratch" and "$" not in image:
            names.append(full_name(image))
        stages.add(stage.lower())
    return list(dict.fromkeys(names))


def build(request: Request, *, cache: Path) -> None:
    """Build an image and write it as a docker-archive, replacing the file in one go.

    Raises:
        ClusterError: the Dockerfile is missing or does not build.
    """
    if not request.dockerfile.is_file():
        raise ClusterError(f"There is no Dockerfile {request.dockerfile}.", fix="Check --file.")
    request.output.parent.mkdir(parents=True, exist_ok=True)
    draft = request.output.with_name(f".{request.output.name}.making")
    draft.unlink(missing_ok=True)
    builder = _pick_builder(base_names(request.dockerfile.read_text()))
    try:
        with step(f"built {request.tag} with {builder}"):
            if builder == "docker":
                _with_docker(request, draft, log=_log(cache, request))
            else:
                _with_buildah(request, draft, cache=cache)
        draft.replace(request.output)
    finally:
        draft.unlink(missing_ok=True)


def _pick_builder(bases: list[str]) -> str:
    wanted = os.environ.get(BUILDER_VARIABLE, "")
    if wanted in ("docker", "buildah"):
        return wanted
    if wanted:
        raise ClusterError(f"{BUILDER_VARIABLE} is {wanted!r}.", fix="Set it to docker or buildah.")
    if shutil.which("docker") is None or run(["docker", "info"], check=False).returncode != 0:
        return "buildah"
    for base in bases:
        if run(["docker", "image", "inspect", base], check=False).returncode == 0:
            continue
        if run(["docker", "pull", "--quiet", base], check=False).returncode != 0:
            say(f"  docker cannot pull {base}: building with buildah on a stand-in")
            return "buildah"
    return "docker"


def _with_docker(request: Request, output: Path, *, log: Path) -> None:
    _logged(["docker", "build", *request.flags()], log=log)
    run(["docker", "save", f"--output={output}", full_name(request.tag)])


def _with_buildah(request: Request, output: Path, *, cache: Path) -> None:
    ensure_packages()
    environment = {**os.environ, **prepare_buildah(cache)}
    _load_stand_ins(cache, environment)
    in_use = cache / "buildah-use.lock"
    argv = ["buildah", "bud", "--layers", "--force-rm", "--format=docker", *request.flags()]
    with shared(in_use):
        _logged(argv, log=_log(cache, request), environment=environment)
        name = full_name(request.tag)
        archive = f"docker-archive:{output}:{name}"
        run(["buildah", "push", "--quiet", name, archive], env=environment)
    with alone(in_use) as is_alone:
        if is_alone:
            _remove_leftovers(environment)


def _remove_leftovers(environment: Mapping[str, str]) -> None:
    """Remove what killed builds left, and all but the newest images without a name.

    Those are stages of builds: the newest make the next build fast, the others only fill the disk.
    """
    run(["buildah", "rm", "--all"], env=environment, check=False)
    listing = run(
        ["buildah", "images", "--json", "--filter", "dangling=true"], env=environment, check=False
    )
    nameless = json.loads(listing.stdout) if listing.returncode == 0 else []
    nameless = sorted(nameless or [], key=lambda image: int(image["created"]), reverse=True)
    old = [str(image["id"]) for image in nameless[_KEPT_STAGES:]]
    if old:
        run(["buildah", "rmi", *old], env=environment, check=False)


def prepare_buildah(cache: Path) -> dict[str, str]:
    """Write buildah's configuration into the cache; return the variables that point to it.

    The machine's own pip settings and certificates are mounted while the image builds, in one
    folder that the stand-ins have (empty) for it, so that nothing of the machine enters an image.
    """
    home = cache / "buildah"
    mounted = home / "pip"
    (mounted / "cache").mkdir(parents=True, exist_ok=True)
    pipconfig.write(mounted)
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{home}/graph"\nrunroot = "{home}/run"\n'
    (home / "storage.conf").write_text(storage)
    volume = f"{mounted}:{pipconfig.MOUNTED_AT}:rw"
    (home / "containers.conf").write_text(f'[containers]\nvolumes = ["{volume}"]\n')
    return {
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
        "CONTAINERS_CONF": str(home / "containers.conf"),
    }


def _load_stand_ins(cache: Path, environment: Mapping[str, str]) -> None:
    """Put the stand-ins of the current recipe into buildah's storage, once."""
    folder = baseimages.ensure_distribution_images(cache)
    mark = cache / "buildah" / "stand-ins"
    with locked(cache / "buildah.lock", doing="preparing buildah"):
        if mark.is_file() and mark.read_text() == folder.name:
            return
        for image in (baseimages.DEBIAN, baseimages.PYTHON):
            run(
                ["buildah", "pull", "--quiet", f"docker-archive:{folder / image.file_name}"],
                env=environment,
            )
        mark.write_text(folder.name)


def _log(cache: Path, request: Request) -> Path:
    name = re.sub(r"[^\w.]+", "-", request.tag)
    return cache / "log" / f"image-{name}.log"


def _logged(argv: list[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
    done = run(argv, env=environment, check=False, timeout_s=_BUILD_TIMEOUT_S)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:]
        raise ClusterError(
            f"`{' '.join(argv[:2])}` failed:\n" + "\n".join(lines),
            fix=f"The whole output is in {log}.",
        )
