"""Which cluster to work on: KIND, the current kubeconfig context, or the embedded Kubernetes."""

import os
import re
import shlex
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from podstream_dev.shell import ROOT, DevError, cache_dir, capture, say, show, step, succeeds

KIND_CONFIG = ROOT / "kind-config.yaml"
KINDS = ("auto", "embedded", "kind", "current")


class Platform(ABC):
    """One way to have a cluster."""

    name: ClassVar[str]
    values: ClassVar[Path | None]
    """Chart values that fit this cluster's addresses."""

    def settings(self, env: Mapping[str, str]) -> Mapping[str, str]:
        """Chart values that only the running cluster knows; `env` is what `env()` gives."""
        del env
        return {}

    @abstractmethod
    def up(self, *, nodes: int | None = None) -> None:
        """Make the cluster, or make sure that it runs. Repeating it changes nothing."""

    @abstractmethod
    def down(self) -> None:
        """Remove the cluster. Repeating it changes nothing."""

    @abstractmethod
    def status(self) -> None:
        """Print what runs; raises DevError where the cluster does not answer."""

    @abstractmethod
    def env(self) -> Mapping[str, str]:
        """KUBECONFIG and PATH (kubectl and helm) for this cluster."""

    @abstractmethod
    def load(self, archives: Sequence[Path]) -> None:
        """Put images (docker-archive files) where every node finds them."""


class Embedded(Platform):
    """A real Kubernetes from pinned sources, in namespaces of its own on this machine."""

    name = "embedded"
    values = ROOT / "helm/podstream/ci/embedded-values.yaml"

    def settings(self, env: Mapping[str, str]) -> Mapping[str, str]:
        # The values name the usual cluster's address; PODSTREAM_CLUSTER=b has another.
        node = env["PODSTREAM_NODE_IP"]
        return {
            "externalUrl": f"http://{node}:30080",
            "externalSignallingAddress": f"{node}:30052",
            "externalGrpcAddress": f"{node}:30051",
            "externalFramesAddress": f"{node}:30953",
            "router.media.advertise[0]": f"{node}:30478",
        }

    def up(self, *, nodes: int | None = None) -> None:
        count = [] if nodes is None else ["--nodes", str(nodes)]
        show([*_testcluster("up"), *count], env=_TESTCLUSTER_ENV)

    def down(self) -> None:
        show(_testcluster("down"), env=_TESTCLUSTER_ENV)

    def status(self) -> None:
        show(_testcluster("status"), env=_TESTCLUSTER_ENV)

    def env(self) -> Mapping[str, str]:
        return parse_exports(capture(_testcluster("env"), env=_TESTCLUSTER_ENV))

    def load(self, archives: Sequence[Path]) -> None:
        show([*_testcluster("load"), *map(str, archives)], env=_TESTCLUSTER_ENV)


class Kind(Platform):
    """KIND, with the repository's own `kind-config.yaml`."""

    name = "kind"
    values = ROOT / "helm/podstream/values-kind.yaml"

    def __init__(self) -> None:
        match = re.search(r"(?m)^name:\s*(\S+)", KIND_CONFIG.read_text())
        self.cluster = match.group(1) if match else "kind"

    def up(self, *, nodes: int | None = None) -> None:
        if nodes not in (None, 1):
            raise DevError("kind-config.yaml describes one node; edit it for more")
        if self._exists():
            say(f"KIND cluster {self.cluster} is already up")
        else:
            with step(f"kind create cluster --config {KIND_CONFIG.name}"):
                show(["kind", "create", "cluster", "--config", str(KIND_CONFIG), "--wait", "120s"])

    def down(self) -> None:
        if self._exists():
            show(["kind", "delete", "cluster", "--name", self.cluster])
        else:
            say(f"no KIND cluster {self.cluster}")

    def status(self) -> None:
        if not self._exists():
            raise DevError(f"no KIND cluster {self.cluster}: make cluster-up CLUSTER=kind")
        show(["kubectl", "get", "nodes", "-o", "wide"], env=self.env())

    def env(self) -> Mapping[str, str]:
        file = cache_dir() / f"kind-{self.cluster}.kubeconfig"
        file.parent.mkdir(parents=True, exist_ok=True)
        config = capture(["kind", "get", "kubeconfig", "--name", self.cluster])
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(config)
        return {"KUBECONFIG": str(file)}

    def load(self, archives: Sequence[Path]) -> None:
        for archive in archives:
            show(["kind", "load", "image-archive", str(archive), "--name", self.cluster])

    def _exists(self) -> bool:
        return self.cluster in capture(["kind", "get", "clusters"]).split()


class Current(Platform):
    """Whatever the current kubeconfig context points at; images must be pullable there."""

    name = "current"
    values = None

    def up(self, *, nodes: int | None = None) -> None:
        if not succeeds(["kubectl", "get", "--raw", "/readyz"]):
            raise DevError("the current kubeconfig context does not answer: kubectl cluster-info")

    def down(self) -> None:
        say("CLUSTER=current: the cluster is yours and stays as it is")

    def status(self) -> None:
        show(["kubectl", "get", "nodes", "-o", "wide"])

    def env(self) -> Mapping[str, str]:
        return {}

    def load(self, archives: Sequence[Path]) -> None:
        say("CLUSTER=current: images are not loaded; push them to a registry that it can pull")


def choose(kind: str) -> Platform:
    """The platform for a name; `auto` is KIND where Docker and kind run, else the embedded one.

    Raises:
        DevError: the name is not known, or KIND was asked for where it cannot run.
    """
    has_kind = shutil.which("kind") is not None
    match kind:
        case "auto":
            return Kind() if has_kind and succeeds(["docker", "info"]) else Embedded()
        case "embedded":
            return Embedded()
        case "current":
            return Current()
        case "kind":
            if not has_kind:
                raise DevError("CLUSTER=kind: kind is not on PATH (https://kind.sigs.k8s.io)")
            if not succeeds(["docker", "info"]):
                raise DevError("CLUSTER=kind: docker does not answer; start it: docker info")
            return Kind()
        case _:
            raise DevError(f"CLUSTER={kind}: expected one of {', '.join(KINDS)}")


def parse_exports(text: str) -> dict[str, str]:
    """Read `export NAME=value` lines as a shell would, without running one."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if len(words) == 2 and words[0] == "export" and "=" in words[1]:
            name, _, value = words[1].partition("=")
            found[name] = value.replace("$PATH", os.environ.get("PATH", ""))
    return found


_TESTCLUSTER_ENV = {"PYTHONPATH": str(ROOT / "tests/cluster")}


def _testcluster(command: str) -> list[str]:
    return [sys.executable, "-m", "testcluster", command]
