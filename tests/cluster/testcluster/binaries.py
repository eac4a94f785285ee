"""Builds the cluster's programs from pinned Go modules into the cache.

One folder per key; the key is a digest of everything the programs are made of, so a finished
folder is never built again and never changed. Go's own build and module caches stay where they
are: a changed link flag costs a minute, not ten.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testcluster import versions
from testcluster.command import run
from testcluster.console import say, step
from testcluster.errors import ClusterError
from testcluster.locks import locked, prune, published

MODULES = Path(__file__).resolve().parent.parent / "modules"

PROGRAMS = (
    "calico",
    "calico-felix",
    "coredns",
    "crictl",
    "etcd",
    "helm",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "kwok",
)

CALICO_CRDS = "share/calico-crds.yaml"
CALICO_ROLES = "share/calico-roles.yaml"

_PROGRESS_EVERY_S = 20.0
_DISK_NEEDED_GB = 12
"""Module cache 3, build cache 4, programs 1, link-time copies and images the rest."""


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module that is built as a whole."""

    name: str
    ldflags: str
    packages: tuple[str, ...] = ("tool",)
    tags: str = ""

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum are."""
        return MODULES / self.name


GO_MODULES = (
    # Together they share client-go and cost a third less than one by one.
    Module("kubernetes", versions.KUBERNETES_LDFLAGS, ("tool", "./coredns")),
    Module("calico", versions.CALICO_LDFLAGS),
    Module("crictl", versions.CRI_TOOLS_LDFLAGS),
)


def build_key(parts: Iterable[tuple[str, bytes]]) -> str:
    """Return a short digest of named parts; any change of a name or a content changes it."""
    digest = hashlib.sha256()
    for name, content in sorted(parts):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def binaries_key(go_version: str, *, modules: Iterable[Module] = GO_MODULES) -> str:
    """Return the key of the programs that ``modules`` give with this Go version."""
    parts = [("go", go_version.encode())]
    for module in modules:
        parts.append((f"{module.name}/ldflags", module.ldflags.encode()))
        parts.append((f"{module.name}/packages", " ".join(module.packages).encode()))
        if module.tags:
            parts.append((f"{module.name}/tags", module.tags.encode()))
        for path in sorted(module.folder.rglob("*")):
            if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
                name = f"{module.name}/{path.relative_to(module.folder)}"
                parts.append((name, path.read_bytes()))
    return build_key(parts)


def go_version() -> str:
    """Return Go's version, like ``go1.26.0``. Raises ClusterError when Go is missing or too old."""
    fix = "Install Go 1.26.2 or newer (https://go.dev/dl/) and put it in PATH."
    if shutil.which("go") is None:
        raise ClusterError(
            "There is no `go` in PATH; the cluster's programs are built with it.", fix=fix
        )
    version = run(["go", "env", "GOVERSION"], cwd=MODULES).stdout.strip()
    numbers = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", version)
    if numbers and tuple(int(part or 0) for part in numbers.groups()) < versions.GO_MINIMUM:
        raise ClusterError(
            f"Go is {version}, too old for Kubernetes {versions.KUBERNETES}.", fix=fix
        )
    return version


def binaries_folder(cache: Path) -> Path:
    """Return the folder of the programs' current key, built or not."""
    return cache / "bin" / binaries_key(go_version())


def ensure_binaries(cache: Path) -> Path:
    """Build the programs unless the cache has them; return their folder.

    Raises:
        ClusterError: Go or disk space is missing, or a build fails.
    """
    target = binaries_folder(cache)
    if target.is_dir():
        return target
    with locked(cache / "build.lock", doing="building the programs"):
        if target.is_dir():
            return target
        check_disk(cache, needed_gb=_DISK_NEEDED_GB)
        say("Building the cluster's programs (10 to 15 minutes the first time, then cached):")
        with published(target) as draft:
            for module in GO_MODULES:
                with step(f"built Go module {module.name}"):
                    go_build(module, draft, log=cache / "log" / f"go-{module.name}.log")
            (draft / "server").rename(draft / "etcd")  # etcd's main package has that name
            if lacking := [name for name in PROGRAMS if not (draft / name).is_file()]:
                raise ClusterError(
                    f"The build made no {', '.join(lacking)}.", fix="Check modules/*/go.mod."
                )
            _copy_calico_manifests(draft)
        prune(target.parent, pattern="[0-9a-f]*")
    return target


def check_disk(cache: Path, *, needed_gb: int) -> None:
    """Raise ClusterError where the cache's disk is too full for a build."""
    cache.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(cache).free / 1e9
    if free_gb < needed_gb:
        raise ClusterError(
            f"{cache} has {free_gb:.1f} GB left; building needs about {needed_gb} GB.",
            fix="Free some, or set PODSTREAM_CACHE (and GOCACHE, GOMODCACHE) to a larger disk.",
        )


def go_build(module: Module, out: Path, *, log: Path) -> None:
    """Run one ``go build``, with a line of progress now and then; its output goes to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = ["go", "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    argv += ["-tags", module.tags] if module.tags else []
    argv += ["-ldflags", f"-s -w {module.ldflags}", "-o", f"{out}/", *module.packages]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    done = threading.Event()
    with log.open("w") as sink:
        process = subprocess.Popen(
            argv, cwd=module.folder, env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
        reporter = threading.Thread(target=_report, args=(module.name, log, done), daemon=True)
        reporter.start()
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            done.set()
            reporter.join()
    if code != 0:
        lines = [line for line in log.read_text().splitlines() if not _is_package(line)]
        raise ClusterError(
            f"go build of module {module.name} failed:\n" + "\n".join(lines[-15:]),
            fix=f"The whole output is in {log}. Downloads need the Go module proxy (GOPROXY).",
        )


def _is_package(line: str) -> bool:
    """Say whether a line of ``go build -v`` is just the path of a compiled package."""
    return re.fullmatch(r"[\w.\-~/]+", line) is not None


def _report(name: str, log: Path, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(_PROGRESS_EVERY_S):
        lines = log.read_text(errors="replace").splitlines()
        compiled = sum(map(_is_package, lines))
        fetched = sum(line.startswith("go: downloading") for line in lines)
        out_of_cache = "" if compiled else " (the rest from Go's cache, or linking)"
        say(
            f"           {name}: {fetched} modules downloaded, {compiled} packages compiled"
            f"{out_of_cache}, {time.monotonic() - started:.0f} s"
        )


def _copy_calico_manifests(out: Path) -> None:
    """Keep what `up` needs of Calico's module beside the programs, so that it needs no Go."""
    listed = run(
        ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/projectcalico/calico"],
        cwd=MODULES / "calico",
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
    )
    manifests = Path(listed.stdout.strip()) / "manifests"
    (out / "share").mkdir()
    (out / CALICO_CRDS).write_text((manifests / "crds.yaml").read_text())
    (out / CALICO_ROLES).write_text(calico_roles((manifests / "calico.yaml").read_text()))


def calico_roles(manifest: str) -> str:
    """Return the ClusterRoles of felix and the CNI plugin out of Calico's own manifest."""
    roles = [
        document.strip()
        for document in re.split(r"(?m)^---\s*$", manifest)
        if re.search(r"(?m)^kind: ClusterRole$", document)
        and re.search(r"(?m)^  name: calico-(node|cni-plugin)$", document)
    ]
    return "\n---\n".join(roles) + "\n"
