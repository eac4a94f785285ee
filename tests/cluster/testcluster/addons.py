"""What a cluster holds before anyone uses it: Calico's CRDs and roles, DNS, storage."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from testcluster import config, nodes
from testcluster.binaries import CALICO_CRDS, CALICO_ROLES
from testcluster.command import run
from testcluster.instance import DNS_SERVICE_IP, Instance, Node
from testcluster.kubectl import Kubectl

MANIFESTS = Path(__file__).resolve().parent / "manifests"

VOLUMES_PER_NODE = 6

_DNS_PROBE = Path(__file__).resolve().parent / "dnsprobe.py"
_DNS_NAME = "kubernetes.default.svc.cluster.local"


def install_calico(kubectl: Kubectl) -> None:
    """Install what felix and the CNI plugin read. Must be there before either starts."""
    crds = kubectl.binaries / CALICO_CRDS
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", crds)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    roles = (kubectl.binaries / CALICO_ROLES).read_text()
    kubectl.apply(roles + "---\n" + (MANIFESTS / "calico-init.yaml").read_text())


def install_dns(kubectl: Kubectl) -> None:
    """Install CoreDNS; it runs as soon as a node is ready."""
    kubectl.apply((MANIFESTS / "coredns.yaml").read_text())


def install_storage(kubectl: Kubectl, *, all_nodes: Iterable[Node]) -> None:
    """Install the storage class and each node's local volumes."""
    manifests = [(MANIFESTS / "storage.yaml").read_text()]
    for node in all_nodes:
        nodes.ensure_volume_folders(node, count=VOLUMES_PER_NODE)
        manifests.append(config.volume_manifest(node, count=VOLUMES_PER_NODE))
    kubectl.apply("---\n".join(manifests))


def recycle_volumes(kubectl: Kubectl, *, all_nodes: Iterable[Node]) -> int:
    """Empty and renew volumes whose claim is gone (nobody else does); return how many."""
    known = {
        f"podstream-local-{node.index}-{number}": (node, number)
        for node in all_nodes
        for number in range(1, VOLUMES_PER_NODE + 1)
    }
    released = [
        volume["metadata"]["name"]
        for volume in kubectl.list("persistentvolumes")
        if volume["metadata"]["name"] in known
        and volume.get("status", {}).get("phase") == "Released"
    ]
    if not released:
        return 0
    kubectl("delete", "persistentvolume", *released)
    touched = []
    for name in released:
        node, number = known[name]
        shutil.rmtree(config.volume_path(node, number), ignore_errors=True)
        touched.append(node)
    install_storage(kubectl, all_nodes={node.index: node for node in touched}.values())
    return len(released)


def dns_answers(instance: Instance) -> bool:
    """Say whether the cluster's DNS answers on its Service address, asked from node 1."""
    netns = instance.node(1).netns_path
    probe: list[str | Path] = [sys.executable, "-I", _DNS_PROBE, DNS_SERVICE_IP, _DNS_NAME]
    return run(["nsenter", f"--net={netns}", "--", *probe], check=False).returncode == 0
