"""The Debian packages the cluster stands on: which are missing, and installing just those."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testcluster.command import run
from testcluster.console import say, step
from testcluster.errors import ClusterError

CNI_PLUGINS = Path("/usr/lib/cni")

# What proves that a package is there: a program in PATH, or a file.
PROOFS: dict[str, str] = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "containernetworking-plugins": str(CNI_PLUGINS / "host-local"),
    "ethtool": "ethtool",
    "gcc": "gcc",
    "ipset": "ipset",
    "iproute2": "ip",
    "iptables": "iptables",
    "libc6-dev": "/usr/include/unistd.h",
    "mmdebstrap": "mmdebstrap",
    "nftables": "nft",
    "openssl": "openssl",
    "procps": "sysctl",
    "runc": "runc",
    "socat": "socat",
    "util-linux": "nsenter",
}

_POLICY_FILE = Path("/usr/sbin/policy-rc.d")


def is_there(proof: str) -> bool:
    """Say whether a program is in PATH, or a file exists."""
    return Path(proof).exists() if proof.startswith("/") else shutil.which(proof) is not None


def missing_packages(exists: Callable[[str], bool] = is_there) -> list[str]:
    """Return the packages whose proof is missing, in alphabetical order."""
    return sorted(package for package, proof in PROOFS.items() if not exists(proof))


def ensure_packages() -> None:
    """Install what is missing. Does nothing, without touching apt, when nothing is.

    Raises:
        ClusterError: apt is missing, or it could not install the packages.
    """
    missing = missing_packages()
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"These are missing and there is no apt-get to install them: {', '.join(missing)}.",
            fix="The embedded cluster needs Debian 12 or a system close to it. Elsewhere use "
            "CLUSTER=kind, or the cluster of your current kubeconfig context.",
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    fix = "Check the machine's apt sources and its way to them, then run the command again."
    say(f"  installing Debian packages: {', '.join(missing)}")
    with step("apt-get update"):
        run(["apt-get", "update", "-qq"], env=environment, fix=fix)
    with step(f"apt-get install {' '.join(missing)}"), _no_services_started():
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            env=environment,
            fix=fix,
            timeout_s=1200,
        )
    if still := missing_packages():
        raise ClusterError(
            f"apt-get installed {', '.join(still)} but the programs cannot be found.",
            fix="Check that /usr/sbin and /usr/bin are in PATH.",
        )


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Keep packages from starting services: the machine's own containerd is not wanted."""
    if _POLICY_FILE.exists():
        yield
        return
    _POLICY_FILE.write_text("#!/bin/sh\nexit 101\n")
    _POLICY_FILE.chmod(0o755)
    try:
        yield
    finally:
        _POLICY_FILE.unlink(missing_ok=True)
