"""Runs Helm on the chart of this checkout."""

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "helm" / "podstream"
NAMESPACE: Final = "streams"
RELEASE: Final = "podstream"

VALUES: Final = {
    "default": (),
    "kind": (CHART / "values-kind.yaml",),
    "embedded": (CHART / "ci" / "embedded-values.yaml",),
    "everything": (CHART / "ci" / "everything-values.yaml",),
}
"""The value files that are kept in working order, by a name for test ids."""

Manifest = dict[str, Any]


class HelmRefused(Exception):
    """Helm ended with an error; its text is the message."""


@functools.cache
def helm_binary() -> str:
    """Helm from PATH, or the one that `make cluster-up` has built; the newest wins there."""
    if found := shutil.which("helm"):
        return found
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = Path(os.environ.get("PODSTREAM_CACHE") or Path(base) / "podstream")
    built = sorted(cache.glob("bin/*/helm"), key=lambda path: path.stat().st_mtime)
    if built:
        return str(built[-1])
    pytest.fail("no helm: run `make cluster-up`, which builds one, or install Helm 4 on PATH")


def run_helm(*arguments: str) -> str:
    """Output of a Helm command.

    Raises:
        HelmRefused: Helm ended with an error.
    """
    done = subprocess.run(
        [helm_binary(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        # No cluster: what is rendered must not depend on one.
        env={**os.environ, "KUBECONFIG": os.devnull},
    )
    if done.returncode:
        raise HelmRefused(done.stderr + done.stdout)
    return done.stdout


@functools.cache
def _template(files: Sequence[Path], settings: Sequence[str]) -> str:
    chosen = [word for path in files for word in ("-f", str(path))]
    chosen += [word for setting in settings for word in ("--set-json", setting)]
    return run_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *chosen)


def render(values: str = "default", *settings: str) -> list[Manifest]:
    """Manifests of the chart for a named set of values and further `path=JSON` settings."""
    documents = yaml.load_all(_template(VALUES[values], settings), Loader=yaml.CSafeLoader)
    return [document for document in documents if document]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """The manifests of a kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest with this kind and name."""
    (found,) = [item for item in of_kind(manifests, kind) if item["metadata"]["name"] == name]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Pod specs of everything that starts pods, by the name of the object."""
    found = {}
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            found[manifest["metadata"]["name"]] = manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "Pod":
            found[manifest["metadata"]["name"]] = manifest["spec"]
    return found


def environment(manifests: list[Manifest], deployment: str) -> dict[str, str]:
    """Variables with literal values of a deployment's container."""
    (container,) = pods(manifests)[deployment]["containers"]
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}
