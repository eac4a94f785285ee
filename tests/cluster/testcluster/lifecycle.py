"""Brings a cluster up, or finds that it is up; adds nodes to it."""

import os
import resource
import shutil
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from testcluster import (
    addons,
    config,
    daemons,
    images,
    machine,
    nodes,
    pki,
    processes,
    state,
    teardown,
)
from testcluster.baseimages import COREDNS, PAUSE, ensure_system_images
from testcluster.binaries import ensure_binaries
from testcluster.command import run, wait_until, write_if_changed
from testcluster.console import say, step
from testcluster.errors import ClusterError
from testcluster.instance import MAX_NODES, Instance, Node
from testcluster.kubectl import Kubectl
from testcluster.packages import CNI_PLUGINS, ensure_packages
from testcluster.processes import Daemon

_DISK_NEEDED_GB = 4

_PATIENCE_S = 30
"""How long running daemons may take to look healthy before a cluster counts as broken."""


def require_root() -> None:
    """Raise ClusterError unless this process may make namespaces."""
    if os.geteuid() != 0:
        raise ClusterError(
            "The cluster makes namespaces, mounts and interfaces, which takes root.",
            fix="Run it with sudo, keeping the environment: `sudo -E env PATH=$PATH …`.",
        )


def up(instance: Instance, *, count: int | None) -> None:
    """Bring the cluster up with ``count`` nodes; fast and without effect when it is already.

    ``count`` None means: as many as run, one if none do; 0 is a control plane alone, for nodes that
    something else plays. More nodes than run are added; for fewer, and after a crash, the cluster
    is made anew.

    Raises:
        ClusterError: a prerequisite is missing or a part did not start. What was started stays
            for inspection; the next ``up`` or ``down`` clears it.
    """
    require_root()
    if count is not None and not 0 <= count <= MAX_NODES:
        raise ClusterError(f"--nodes {count}: a cluster has 0 to {MAX_NODES} nodes.")
    ensure_packages()
    binaries = ensure_binaries(instance.cache)
    base_images = ensure_system_images(instance.cache, binaries)
    running = state.load(instance)
    if running is not None:
        wanted = running.nodes if count is None else count
        if wanted < running.nodes or (wanted and not running.nodes):
            say(f"The cluster has {running.nodes} nodes, {wanted} are asked for: making it anew.")
        elif running.binaries != str(binaries):
            say("The cluster runs other programs than this checkout names: making it anew.")
        elif problem := _find_lasting_problem(instance, count=running.nodes, binaries=binaries):
            say(f"The cluster is broken ({problem}): making it anew.")
        else:
            _refresh(instance, binaries=binaries, count=running.nodes)
            if wanted == running.nodes:
                say(f"The cluster is up: {running.nodes} node(s) at {instance.api_ip}.")
                return
            say(f"The cluster has {running.nodes} node(s): adding {wanted - running.nodes}.")
            _bring_up(instance, binaries=binaries, base_images=base_images, count=wanted)
            return
    if left := teardown.remains(instance):
        with step(f"removed what was left of a cluster ({len(left)} things, like {left[0]})"):
            teardown.remove(instance)
    _bring_up(
        instance,
        binaries=binaries,
        base_images=base_images,
        count=1 if count is None else count,
    )


def find_problem(instance: Instance, *, count: int, binaries: Path) -> str:
    """Return what is wrong with a running cluster, in words; empty when it works."""
    return find_dead_daemon(instance, count=count, binaries=binaries) or _find_unready_node(
        instance, count=count, binaries=binaries
    )


def find_dead_daemon(instance: Instance, *, count: int, binaries: Path) -> str:
    """Return which daemon does not run, in words; empty when all do."""
    for daemon in all_daemons(instance, count=count, binaries=binaries):
        if processes.running_pid(daemon.pid_file) is None:
            return f"{daemon.name} does not run"
    return ""


def _find_unready_node(instance: Instance, *, count: int, binaries: Path) -> str:
    listed = Kubectl(instance, binaries)(
        "get", "nodes", "--no-headers", "--request-timeout=3s", check=False
    )
    ready = ready_names(listed.stdout)
    missing = [node.name for node in instance.nodes(count) if node.name not in ready]
    return f"{', '.join(missing)} not ready" if missing else ""


def ready_names(listing: str) -> set[str]:
    """Return the ready nodes of what ``kubectl get nodes --no-headers`` prints.

    A cordoned node is ready too: it shows as ``Ready,SchedulingDisabled``.
    """
    rows = [line.split() for line in listing.splitlines()]
    return {row[0] for row in rows if len(row) > 1 and row[1].split(",")[0] == "Ready"}


def _find_lasting_problem(instance: Instance, *, count: int, binaries: Path) -> str:
    """Return what is wrong and stays so: a machine under load may be slow for a while.

    A dead daemon does not come back by itself, so it is not waited for.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while problem := find_problem(instance, count=count, binaries=binaries):
        dead = find_dead_daemon(instance, count=count, binaries=binaries)
        if dead or time.monotonic() > deadline:
            return dead or problem
        time.sleep(0.5)
    return ""


def all_daemons(instance: Instance, *, count: int, binaries: Path) -> list[Daemon]:
    """Return every daemon of a cluster of ``count`` nodes."""
    listed = daemons.control_plane(instance, binaries)
    for node in instance.nodes(count):
        listed += daemons.node_daemons(instance, node, binaries)
    return listed


def start_node_daemons(instance: Instance, node: Node, *, kubectl: Kubectl) -> None:
    """Start what runs on a node, in the order it needs, and wait until the node has registered."""
    binaries = kubectl.binaries
    own = daemons.node_daemons(instance, node, binaries)
    processes.start(own[0])
    wait_for_runtimes(instance, of=[node], binaries=binaries)  # the kubelet ends without it
    for daemon in own[1:-1]:
        processes.start(daemon)
    wait_until(
        lambda: kubectl.succeeds("get", "node", node.name, "--request-timeout=3s"),
        what=f"{node.name} to register",
        timeout_s=60,
        alive=lambda: processes.check_alive(own[:-1]),
    )
    processes.start(own[-1])  # kube-proxy waits 30 s if it cannot find its node


def wait_for_runtimes(instance: Instance, *, of: Iterable[Node], binaries: Path) -> None:
    """Wait until each node's containerd answers as a container runtime, not only listens."""
    for node in of:
        daemon = daemons.containerd(instance, node)
        endpoint = f"--runtime-endpoint=unix://{node.socket}"
        question: list[str | Path] = [binaries / "crictl", endpoint, "version"]
        wait_until(
            partial(_succeeds, question),
            what=f"{daemon.name} to answer",
            timeout_s=30,
            alive=partial(processes.check_alive, [daemon]),
        )


def _succeeds(argv: list[str | Path]) -> bool:
    return run(argv, check=False).returncode == 0


def _bring_up(instance: Instance, *, binaries: Path, base_images: Path, count: int) -> None:
    say(f"Starting Kubernetes with {count} node(s) at {instance.api_ip}:")
    _check_disk(instance)
    everyone = instance.nodes(count)
    kubectl = Kubectl(instance, binaries)
    control_plane = daemons.control_plane(instance, binaries)
    with step("network, namespaces, certificates, configuration"):
        _prepare(instance, binaries=binaries, everyone=everyone)
    with step("etcd and API server are ready"):
        for daemon in control_plane[:2]:
            processes.start(daemon)
        for node in everyone:
            processes.start(daemons.containerd(instance, node))
        wait_until(
            lambda: kubectl.succeeds("get", "--raw=/readyz", "--request-timeout=3s"),
            what="the API server to be ready",
            timeout_s=60,
            alive=lambda: processes.check_alive(control_plane[:2]),
        )
    for daemon in control_plane[2:]:
        processes.start(daemon)
    if not everyone:
        _wait_for_controllers(instance, kubectl=kubectl)
        state.save(instance, nodes=0, binaries=binaries)
        return
    with step("Calico's resources are established, base images are loaded"):
        addons.install_calico(kubectl)
        wait_for_runtimes(instance, of=everyone, binaries=binaries)
        _import_base_images(base_images, everyone=everyone)
    with step("nodes have registered"):
        for node in everyone:
            start_node_daemons(instance, node, kubectl=kubectl)
        addons.install_dns(kubectl)
        addons.install_storage(kubectl, all_nodes=everyone)
    _wait_until_ready(instance, kubectl=kubectl, count=count)
    state.save(instance, nodes=count, binaries=binaries)


def _wait_for_controllers(instance: Instance, *, kubectl: Kubectl) -> None:
    """Wait for what pods need of the controller manager: a service account to run as."""
    control_plane = daemons.control_plane(instance, kubectl.binaries)
    with step("controllers work"):
        wait_until(
            lambda: kubectl.succeeds("-n", "default", "get", "serviceaccount", "default"),
            what="the controller manager to make service accounts",
            timeout_s=60,
            alive=lambda: processes.check_alive(control_plane),
        )


def _prepare(instance: Instance, *, binaries: Path, everyone: list[Node]) -> None:
    """Make places and files; nothing runs yet. The control plane lives in the first place."""
    instance.run.mkdir(parents=True, exist_ok=True)
    fresh = state.load(instance) is None
    state.forget(instance)
    if fresh:
        shutil.rmtree(instance.log, ignore_errors=True)  # an audit count starts from nothing
    instance.log.mkdir(parents=True, exist_ok=True)
    machine.claim(instance)
    nodes.ensure_bridge(instance)
    for node in everyone or [instance.node(1)]:
        nodes.ensure_node_places(instance, node, nodes=everyone)
    pki.ensure_pki(instance, nodes=everyone)
    _link_cni_plugins(instance, binaries)
    # Not the machine's own: what pods look up beyond the cluster would leave the machine.
    write_if_changed(instance.conf / "resolv.conf", f"nameserver {instance.host_ip}\n")
    policy = (addons.MANIFESTS / "audit-policy.yaml").read_text()
    write_if_changed(instance.conf / "audit-policy.yaml", policy)
    hard_open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard_open_files == resource.RLIM_INFINITY:
        hard_open_files = config.MAX_OPEN_FILES
    for node in everyone:
        kubelet = config.kubelet_yaml(instance, node, hard_open_files=hard_open_files)
        write_if_changed(node.work / "kubelet.yaml", kubelet)
        write_if_changed(node.work / "containerd.toml", config.containerd_toml(instance, node))
        write_if_changed(node.work / "proxy.yaml", config.proxy_yaml(instance, node))
        write_if_changed(
            node.work / "cni" / "10-calico.conflist", config.cni_conflist(instance, node)
        )


def _link_cni_plugins(instance: Instance, binaries: Path) -> None:
    instance.cni_bin.mkdir(parents=True, exist_ok=True)
    for program in [*CNI_PLUGINS.iterdir(), binaries / "calico"]:
        link = instance.cni_bin / program.name
        if not link.is_symlink() or link.readlink() != program:
            link.unlink(missing_ok=True)
            link.symlink_to(program)


def _import_base_images(base_images: Path, *, everyone: list[Node]) -> None:
    for image in (PAUSE, COREDNS):
        images.import_archive(base_images / image.file_name, nodes=everyone)


def _wait_until_ready(instance: Instance, *, kubectl: Kubectl, count: int) -> None:
    everything = all_daemons(instance, count=count, binaries=kubectl.binaries)

    def check() -> None:
        processes.check_alive(everything)

    with step("nodes are ready"):
        wait_until(
            lambda: not find_problem(instance, count=count, binaries=kubectl.binaries),
            what="the nodes to be ready",
            timeout_s=60,
            alive=check,
        )
    with step("DNS answers"):
        rollout = ("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=1s")
        wait_until(
            lambda: kubectl.succeeds(*rollout), what="CoreDNS to run", timeout_s=60, alive=check
        )
        # A query may be lost in the first seconds after a rollout.
        wait_until(
            lambda: addons.dns_answers(instance), what="DNS to answer", timeout_s=30, alive=check
        )


def _refresh(instance: Instance, *, binaries: Path, count: int) -> None:
    kubectl = Kubectl(instance, binaries)
    if renewed := addons.recycle_volumes(kubectl, all_nodes=instance.nodes(count)):
        say(f"  emptied and renewed {renewed} released volume(s)")


def _check_disk(instance: Instance) -> None:
    instance.work.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(instance.work).free / 1e9
    if free_gb < _DISK_NEEDED_GB:
        raise ClusterError(
            f"{instance.work} has {free_gb:.1f} GB left, too little for a cluster "
            f"({_DISK_NEEDED_GB} GB).",
            fix="Free some, or set PODSTREAM_CACHE to a larger disk.",
        )
