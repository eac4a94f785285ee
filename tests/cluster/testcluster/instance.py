"""Names, addresses and folders of one cluster on this machine.

``PODSTREAM_CLUSTER`` picks the instance by one letter. ``a`` (the default) is the cluster that
everything uses; any other letter is a second, independent one with its own range, bridge,
namespaces and folders, so that tests which break a cluster disturb nobody.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testcluster.errors import ClusterError

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443

MAX_NODES = 9
"""More fit the address plan, but not a developer's machine."""

_FIRST_OCTET = 89
"""Instance a is 10.89.0.0/24, b is 10.90.0.0/24 and so on to z, 10.114.0.0/24."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a network namespace, a mount namespace, its address and its folders."""

    index: int
    name: str
    netns: str
    link: str
    ip: str
    pod_cidr: str
    run: Path
    work: Path

    @property
    def netns_path(self) -> Path:
        """Where iproute2 keeps the network namespace."""
        return Path("/run/netns") / self.netns

    @property
    def mntns_path(self) -> Path:
        """Where the node's mount namespace is kept alive."""
        return self.run / "mntns"

    @property
    def socket(self) -> Path:
        """containerd's socket; reachable from the machine too."""
        return self.run / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """Name of the node's top control group, in every hierarchy."""
        return self.netns


@dataclass(frozen=True, slots=True)
class Instance:
    """One cluster. Everything it touches on the machine is named here."""

    letter: str
    cache: Path

    @property
    def prefix(self) -> str:
        """Start of every name: namespaces, control groups and the run folder."""
        return "podstream" if self.letter == "a" else f"podstream-{self.letter}"

    @property
    def short_prefix(self) -> str:
        """Start of interface names, which may have 15 characters at most."""
        return "ps" if self.letter == "a" else f"ps-{self.letter}"

    @property
    def network(self) -> str:
        """First three numbers of the instance's /24."""
        return f"10.{_FIRST_OCTET + ord(self.letter) - ord('a')}.0"

    @property
    def host_ip(self) -> str:
        """The machine's address on the bridge."""
        return f"{self.network}.1"

    @property
    def api_ip(self) -> str:
        """Address of node 1, which holds the control plane."""
        return f"{self.network}.2"

    @property
    def bridge(self) -> str:
        """The bridge between the machine and the nodes."""
        return f"{self.short_prefix}-br"

    @property
    def route_metric(self) -> int:
        """Metric of the machine's unreachable routes: different, so each removes only its own."""
        return _FIRST_OCTET + ord(self.letter) - ord("a")

    @property
    def run(self) -> Path:
        """Sockets, pid files, namespaces. Gone after ``down`` and after a reboot."""
        return Path("/run") / self.prefix

    @property
    def work(self) -> Path:
        """etcd's data, certificates, configuration, logs."""
        return self.cache / ("cluster" if self.letter == "a" else f"cluster-{self.letter}")

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.work / "pki"

    @property
    def conf(self) -> Path:
        """Kubeconfigs and other configuration that is not one node's."""
        return self.work / "conf"

    @property
    def log(self) -> Path:
        """One log a daemon, and the API server's audit log."""
        return self.work / "log"

    @property
    def cni_bin(self) -> Path:
        """All CNI plugins in one folder: containerd 1.6 takes only one."""
        return self.work / "cnibin"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.conf / "admin.kubeconfig"

    def node(self, index: int) -> Node:
        """Return node ``index``, counted from 1."""
        return Node(
            index=index,
            name=f"node-{index}",
            netns=f"{self.prefix}-{index}",
            link=f"{self.short_prefix}-{index}",
            ip=f"{self.network}.{index + 1}",
            pod_cidr=f"10.244.{index}.0/24",
            run=self.run / str(index),
            work=self.work / str(index),
        )

    def nodes(self, count: int) -> list[Node]:
        """Return nodes 1 to ``count``."""
        return [self.node(index) for index in range(1, count + 1)]


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder, absolute: nsenter changes the working directory to /."""
    if explicit := environ.get("PODSTREAM_CACHE"):
        return Path(explicit).absolute()
    base = environ.get("XDG_CACHE_HOME") or str(
        Path(environ.get("HOME") or "~").expanduser() / ".cache"
    )
    return Path(base).absolute() / "podstream"


def from_environment(environ: Mapping[str, str] = os.environ) -> Instance:
    """Return the instance that ``PODSTREAM_CLUSTER`` names. Raises ClusterError on a bad name."""
    letter = environ.get("PODSTREAM_CLUSTER") or "a"
    if not re.fullmatch(r"[a-z]", letter):
        raise ClusterError(
            f"PODSTREAM_CLUSTER is {letter!r}: a cluster's name is one letter from a to z.",
            fix="Unset it for the usual cluster, or take another letter for a second one.",
        )
    return Instance(letter=letter, cache=cache_root(environ))
