"""Installs the chart from the checkout on a platform."""

from collections.abc import Mapping, Sequence

from podstream_dev import images
from podstream_dev.platforms import Platform
from podstream_dev.shell import ROOT, capture, show, step

RELEASE = "podstream"
NAMESPACE = "podstream"


def install(
    platform: Platform, *, env: Mapping[str, str], extra: Sequence[str] = (), timeout: str = "180s"
) -> None:
    """`helm upgrade --install`, after the CRDs (a chart never upgrades those itself).

    Raises:
        DevError: the API server refused something or the release did not become ready in time.
    """
    values = ["-f", str(platform.values)] if platform.values else []
    with step("installing the chart"):
        crds = ["kubectl", "apply", "--server-side", "--force-conflicts"]
        capture([*crds, "-f", str(ROOT / "crds")], env=env)
        command = ["helm", "upgrade", "--install", RELEASE, str(ROOT / "helm/podstream")]
        command += ["--namespace", NAMESPACE, "--create-namespace"]
        # A rebuilt image keeps its tag: this makes the upgrade replace pods that run the old one.
        build = f"podAnnotations.build={images.source_key()}"
        command += ["--set-string", f"operator.{build},router.{build}"]
        for name, value in platform.settings(env).items():
            command += ["--set-string", f"{name}={value}"]
        show([*command, *values, *extra, "--wait", "--timeout", timeout], env=env)
