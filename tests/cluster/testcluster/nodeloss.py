"""Loses single nodes and brings them back, for tests of lost nodes."""

from datetime import UTC, datetime
from pathlib import Path

from testcluster import daemons, lifecycle, nodes, processes, state, teardown
from testcluster.command import run, wait_until
from testcluster.console import step
from testcluster.errors import ClusterError
from testcluster.instance import Instance, Node
from testcluster.kubectl import Kubectl


def stop(instance: Instance, index: int, *, link_only: bool) -> None:
    """Lose a node: cut its power, or pull its cable only (its pods then run on, unreachable).

    Raises:
        ClusterError: there is no such node, or it is node 1, which holds the control plane.
    """
    node, _ = _other_node(instance, index)
    if link_only:
        if node.netns_path.exists():
            nodes.set_link(node, up=False)
    else:
        _power_off(instance, node)


def start(instance: Instance, index: int) -> None:
    """Bring a lost node back and wait until it is ready; its images are still there.

    Raises:
        ClusterError: there is no such node, or it does not become ready within 60 s.
    """
    node, running = _other_node(instance, index)
    kubectl = Kubectl(instance, Path(running.binaries))
    everyone = instance.nodes(running.nodes)
    own = daemons.node_daemons(instance, node, kubectl.binaries)
    since = datetime.now(UTC)
    with step(f"{node.name} is ready again"):
        if any(processes.running_pid(daemon.pid_file) is None for daemon in own):
            _power_off(instance, node)  # what half-runs is no node
        nodes.ensure_node_places(instance, node, nodes=everyone)
        lifecycle.start_node_daemons(instance, node, kubectl=kubectl)
        wait_until(
            lambda: _is_back(kubectl, node, since=since),
            what=f"{node.name} to be ready",
            timeout_s=60,
            alive=lambda: processes.check_alive(own),
        )


def _power_off(instance: Instance, node: Node) -> None:
    """Kill all that runs on the node and drop its memory: namespaces, sockets, addresses given."""
    teardown.kill_processes(instance, [node])
    teardown.remove_mounts(node)
    if node.netns_path.exists():
        run(["ip", "netns", "del", node.netns])
    run(["ip", "link", "del", node.link], check=False)
    teardown.remove_cgroups(node)
    teardown.remove_tree(node.run)


def _is_back(kubectl: Kubectl, node: Node, *, since: datetime) -> bool:
    """Say whether the node is ready by word of its own: an old status may still say so."""
    lease = kubectl(
        "get",
        "lease",
        node.name,
        "-n",
        "kube-node-lease",
        "-o",
        "jsonpath={.spec.renewTime}",
        check=False,
    )
    if not lease.stdout or datetime.fromisoformat(lease.stdout) < since:
        return False
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    return kubectl("get", "node", node.name, "-o", f"jsonpath={path}", check=False).stdout == "True"


def _other_node(instance: Instance, index: int) -> tuple[Node, state.State]:
    lifecycle.require_root()
    running = state.load(instance)
    if running is None:
        raise ClusterError("No cluster is up.", fix="Run `testcluster up --nodes 2` first.")
    if index == 1:
        raise ClusterError(
            "Node 1 holds the control plane and cannot be stopped alone.",
            fix="Stop node 2 instead.",
        )
    if not 1 < index <= running.nodes:
        raise ClusterError(
            f"The cluster has nodes 1 to {running.nodes}, no node {index}.",
            fix=f"Run `testcluster up --nodes {max(index, 2)}` first.",
        )
    return instance.node(index), running
