"""Makes the places that nodes live in: bridge, namespaces, mounts and control groups.

Every function may run again over what is there already. Nothing of a node reaches the machine's
own routes, rules or mounts: packets stay in its network namespace, mounts in its mount namespace.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from testcluster import config
from testcluster.command import SYSTEM_PATH, run
from testcluster.errors import ClusterError
from testcluster.instance import POD_CIDR, SERVICE_CIDR, Instance, Node

CGROUPS = Path("/sys/fs/cgroup")
_V1_HIERARCHIES = ("cpu", "cpuacct", "cpuset", "memory", "pids", "systemd")

# A private /run keeps sockets, locks and pod network namespaces of a node from meeting the
# machine's or another node's, and makes them vanish with the mount namespace. Only the
# instance's own folder is shared with the machine. Propagation starts private, so that nothing
# mounted in a node reaches the machine, then shared, as the kubelet needs it inside the node.
_MOUNT_SCRIPT = """\
set -eu
instance=$1 inner=$2
mkdir -p "$inner"
mount -t tmpfs -o mode=755,nosuid,nodev podstream-run "$inner"
mkdir -p "$inner/lock" "$inner/netns" "$inner/${instance#/run/}"
mount --bind "$instance" "$inner/${instance#/run/}"
mount --rbind "$inner" /run
mount --make-rshared /
"""


def ensure_bridge(instance: Instance) -> None:
    """Make the bridge and the machine's routes.

    The unreachable routes keep packets to pods and Services from leaving by the machine's default
    route; nothing that comes in from the nodes is forwarded by the machine.

    Raises:
        ClusterError: the address range is already in use on this machine.
    """
    if not link_exists(instance.bridge):
        _check_range_is_free(instance)
        _ip_batch(
            # Else it has its lowest port's, and another one when that node's cable is pulled: the
            # other nodes would send to the old one until their neighbour tables have caught up.
            f"link add {instance.bridge} address {_own_mac(instance.host_ip)} type bridge",
            f"addr add {instance.host_ip}/24 dev {instance.bridge}",
            f"link set {instance.bridge} up",
        )
    Path(f"/proc/sys/net/ipv4/conf/{instance.bridge}/forwarding").write_text("0\n")
    metric = f"metric {instance.route_metric}"
    _ip_batch(*(f"route replace unreachable {cidr} {metric}" for cidr in (SERVICE_CIDR, POD_CIDR)))


def ensure_node_places(instance: Instance, node: Node, *, nodes: Iterable[Node]) -> None:
    """Make a node's folders, network, mount namespace and control groups."""
    for folder in (node.run, node.work / "cni", node.work / "pods", node.work / "kubelet"):
        folder.mkdir(parents=True, exist_ok=True)
    _ensure_network(instance, node)
    ensure_routes(instance, node, nodes=nodes)
    _ensure_mounts(instance, node)
    # felix makes only the last element of its status path.
    (node.run / "calico").mkdir(exist_ok=True)
    _ensure_cgroups(node)


def ensure_routes(instance: Instance, node: Node, *, nodes: Iterable[Node]) -> None:
    """Set a node's routes; they vanish whenever its link goes down."""
    routes = [f"route replace default via {instance.host_ip}"]
    routes += [
        f"route replace {other.pod_cidr} via {other.ip}"
        for other in nodes
        if other.index != node.index
    ]
    _ip_batch(*routes, netns=node.netns)


def set_link(node: Node, *, up: bool) -> None:
    """Plug a node's cable in, or pull it."""
    _ip_batch(f"link set eth0 {'up' if up else 'down'}", netns=node.netns)


def link_exists(name: str) -> bool:
    """Say whether the machine has an interface of this name."""
    return Path("/sys/class/net", name).exists()


def is_mounted(path: Path) -> bool:
    """Say whether something is mounted at exactly this path, as this process sees it."""
    return any(point == str(path) for point in mount_points())


def mount_points() -> list[str]:
    """Return every mount point that this process sees, innermost last."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].replace("\\040", " ") for line in lines]


def _own_mac(address: str) -> str:
    """A locally administered hardware address that follows from an IPv4 address."""
    return ":".join(["02", "00", *(f"{int(part):02x}" for part in address.split("."))])


def _check_range_is_free(instance: Instance) -> None:
    routes = run(["ip", "-4", "route", "show", "table", "all"]).stdout
    taken = re.search(rf"(?m)^.*\b{re.escape(instance.network)}\.\d+.*$", routes)
    if taken:
        raise ClusterError(
            f"The machine already uses {instance.network}.0/24: {taken[0].strip()}",
            fix="Remove that network, or take another range: PODSTREAM_CLUSTER=b is 10.90.0.0/24, "
            "c is 10.91.0.0/24 and so on.",
        )


def _ensure_network(instance: Instance, node: Node) -> None:
    if not node.netns_path.exists():
        run(["ip", "netns", "add", node.netns])
    if not link_exists(node.link):
        _ip_batch(
            f"link add {node.link} type veth peer name eth0 netns {node.netns}",
            f"link set {node.link} master {instance.bridge} up",
        )
        _ip_batch(f"addr add {node.ip}/24 dev eth0", "link set lo up", netns=node.netns)
    settings = (
        "net.ipv4.ip_forward=1",
        # With IPv6, a pod under a deny-all policy reached the API server by link-local addresses.
        "net.ipv6.conf.all.disable_ipv6=1",
        "net.ipv6.conf.default.disable_ipv6=1",
    )
    run(["ip", "netns", "exec", node.netns, "sysctl", "-qw", *settings])
    set_link(node, up=True)


def _ensure_mounts(instance: Instance, node: Node) -> None:
    if is_mounted(node.mntns_path):
        return
    if not is_mounted(node.run):
        # A namespace file can be kept only on a private mount.
        run(["mount", "--bind", node.run, node.run])
        run(["mount", "--make-private", node.run])
    node.mntns_path.touch()
    inner = node.work / "run"
    argv = ["unshare", f"--mount={node.mntns_path}", "--propagation", "private"]
    run(
        [*argv, "sh", "-c", _MOUNT_SCRIPT, "sh", instance.run, inner],
        env={"PATH": SYSTEM_PATH},
        fix="Mount namespaces are needed: run as root, in a container only if it is privileged.",
    )


def _ensure_cgroups(node: Node) -> None:
    """Make the node's control groups; the kubelet makes the rest below them."""
    if (CGROUPS / "cgroup.controllers").exists():
        wanted = {"cpu", "cpuset", "memory", "pids", "io"}
        there = wanted & set((CGROUPS / "cgroup.controllers").read_text().split())
        enable = " ".join(f"+{name}" for name in sorted(there))
        (CGROUPS / "cgroup.subtree_control").write_text(enable)
        (CGROUPS / node.cgroup).mkdir(exist_ok=True)
        return
    for hierarchy in _V1_HIERARCHIES:
        if not (CGROUPS / hierarchy).is_dir():
            raise ClusterError(
                f"The control group hierarchy {hierarchy} is not mounted at {CGROUPS / hierarchy}.",
                fix="Mount cgroup v2 at /sys/fs/cgroup, or every v1 hierarchy below it.",
            )
        (CGROUPS / hierarchy / node.cgroup).mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        # A new cpuset is empty and would admit no process.
        values = (CGROUPS / "cpuset" / name).read_text()
        (CGROUPS / "cpuset" / node.cgroup / name).write_text(values)


def ensure_volume_folders(node: Node, *, count: int) -> None:
    """Make the folders behind a node's local volumes, writable for any user of a pod."""
    for number in range(1, count + 1):
        folder = config.volume_path(node, number)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)


def _ip_batch(*commands: str, netns: str = "") -> None:
    argv = ["ip"] + (["-n", netns] if netns else []) + ["-batch", "-"]
    run(argv, stdin="\n".join(commands) + "\n", env={**os.environ, "PATH": SYSTEM_PATH})
