"""Removes a cluster, or what is left of one, whatever state it is in.

It goes by what is there (namespaces, control groups, mounts, links), not by what a state file
says, so that a cluster whose start failed or whose daemons were all killed goes the same way.
Everything is test data: processes get SIGKILL, and what they held goes with their namespaces.
"""

import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from testcluster import machine, nodes, processes, state
from testcluster.command import run
from testcluster.errors import ClusterError
from testcluster.instance import POD_CIDR, SERVICE_CIDR, Instance, Node

_NETNS_FOLDER = Path("/run/netns")
_CGROUPS_GONE_WITHIN_S = 10


def remains(instance: Instance) -> list[str]:
    """Return what a cluster has left on the machine, in words; empty when there is nothing."""
    found = [
        f"network namespace {node.netns}" for node in _nodes(instance) if node.netns_path.exists()
    ]
    found += [f"interface {name}" for name in _links(instance)]
    found += [f"mount {point}" for point in _mounts(instance)]
    found += [f"control group {path}" for node in _nodes(instance) for path in _cgroups(node)]
    found += [f"route {route}" for route in _routes(instance)]
    found += [f"folder {instance.run}"] if instance.run.exists() else []
    return found


def remove(instance: Instance) -> None:
    """Remove the cluster. Logs, certificates and kubeconfigs stay in the cache.

    Raises:
        ClusterError: something could not be removed; running it again is safe.
    """
    state.forget(instance)
    doomed = _nodes(instance)
    kill_processes(instance, doomed)
    for node in doomed:
        remove_mounts(node)
        if node.netns_path.exists():
            run(["ip", "netns", "del", node.netns])
    for name in _links(instance):
        run(["ip", "link", "del", name], check=False)  # the other end's namespace may take it along
    for route in _routes(instance):
        run(["ip", "route", "del", "unreachable", *route.split()], check=False)
    for point in reversed(_mounts(instance)):
        run(["umount", "--lazy", point])
    for node in doomed:
        remove_cgroups(node)
        remove_tree(node.work)
    remove_tree(instance.work / "etcd")
    remove_tree(instance.run)
    machine.release(instance)
    if left := remains(instance):
        raise ClusterError(
            f"These are left after removing the cluster: {'; '.join(left)}.",
            fix="Run `testcluster down` again; see `testcluster status` for who holds them.",
        )


def kill_processes(instance: Instance, doomed: Iterable[Node]) -> None:
    """Kill everything that runs in the nodes' namespaces or control groups: daemons and pods."""
    listed = list(doomed)
    namespaces = [path for node in listed for path in (node.netns_path, node.mntns_path)]
    groups = [node.cgroup for node in listed]
    pid_files = list(instance.run.glob("*.pid")) if instance.run.is_dir() else []
    if {node.index for node in listed} != {node.index for node in _nodes(instance)}:
        pid_files = [
            path for path in pid_files for node in listed if path.stem.endswith(f"-{node.index}")
        ]

    def find() -> set[int]:
        by_file = {pid for path in pid_files if (pid := processes.running_pid(path)) is not None}
        return by_file | processes.members(namespaces=namespaces, cgroups=groups)

    processes.kill_all(find)
    for path in pid_files:
        path.unlink(missing_ok=True)


def remove_cgroups(node: Node) -> None:
    """Remove the node's control groups in every hierarchy, innermost first.

    The kernel may need a moment between the last process's end and an empty group.
    """
    deadline = time.monotonic() + _CGROUPS_GONE_WITHIN_S
    while tops := _cgroups(node):
        for top in tops:
            for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                _try_rmdir(folder)
            _try_rmdir(top)
        if time.monotonic() > deadline:
            raise ClusterError(f"Control groups are still busy: {', '.join(map(str, tops))}.")
        time.sleep(0.02)


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours and everything in it; missing is fine."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise ClusterError(
            f"{folder} cannot be removed: {exc}.", fix="Is it still mounted?"
        ) from exc


def remove_mounts(node: Node) -> None:
    """Let go of a node's mount namespace: without processes, all its mounts go with it."""
    for point in (node.mntns_path, node.run):
        while nodes.is_mounted(point):
            run(["umount", point])


def _nodes(instance: Instance) -> list[Node]:
    """Return every node of which anything is left."""
    names = [path.name for path in _NETNS_FOLDER.glob(f"{instance.prefix}-*")]
    names += [path.name for path in nodes.CGROUPS.glob(f"{instance.prefix}-*")]
    names += [path.name for path in nodes.CGROUPS.glob(f"*/{instance.prefix}-*")]
    names += [f"{instance.prefix}-{path.name}" for path in instance.run.glob("*")]
    names += [f"{instance.prefix}-{path.name}" for path in instance.work.glob("*")]
    pattern = re.compile(rf"{re.escape(instance.prefix)}-(\d+)")
    indexes = {int(match[1]) for name in names if (match := pattern.fullmatch(name))}
    return [instance.node(index) for index in sorted(indexes)]


def _links(instance: Instance) -> list[str]:
    names = (path.name for path in Path("/sys/class/net").iterdir())
    pattern = re.compile(rf"{re.escape(instance.short_prefix)}-(br|\d+)")
    return sorted(name for name in names if pattern.fullmatch(name))


def _mounts(instance: Instance) -> list[str]:
    tops = (f"{instance.run}/", f"{instance.work}/")
    return [point for point in nodes.mount_points() if point.startswith(tops)]


def _cgroups(node: Node) -> list[Path]:
    candidates = [nodes.CGROUPS / node.cgroup, *nodes.CGROUPS.glob(f"*/{node.cgroup}")]
    return [path for path in candidates if path.is_dir()]


def _routes(instance: Instance) -> list[str]:
    """Return the instance's unreachable routes, as ``ip route del`` takes them."""
    listed = run(["ip", "-4", "route", "show", "type", "unreachable"]).stdout.splitlines()
    metric = f"metric {instance.route_metric}"
    return [
        f"{cidr} {metric}"
        for cidr in (SERVICE_CIDR, POD_CIDR)
        if any(cidr in line and metric in line for line in listed)
    ]


def _try_rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # still busy, or gone: the caller looks again
