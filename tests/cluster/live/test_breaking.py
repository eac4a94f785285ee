"""Nodes added, lost and found, crashes, and leaving no trace: on a cluster of its own.

It runs beside the shared cluster, in another range and under other names.
"""

import re
import subprocess
from functools import partial
from pathlib import Path

import pytest

from testcluster import state, teardown
from testcluster.command import wait_until
from testcluster.driver import Cluster, command_line
from testcluster.instance import Instance
from testcluster.machine import SETTINGS

pytestmark = [pytest.mark.e2e, pytest.mark.long]

HTTP_SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000)"
SLEEP = "import time; time.sleep(1e6)"
TOLERATE = [
    {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
    for taint in ("not-ready", "unreachable")
]


def bring_up(instance: Instance, *, nodes: int) -> Cluster:
    done = command_line(instance.letter, "up", "--nodes", str(nodes))
    assert done.returncode == 0, done.stderr
    cluster = Cluster.running(instance)
    loaded = cluster.command("load", "python")
    assert loaded.returncode == 0, loaded.stderr
    wait_until(
        lambda: cluster.kubectl.succeeds("-n", "default", "get", "serviceaccount", "default"),
        what="the service account",
        timeout_s=10,
    )
    return cluster


def fetches(cluster: Cluster, pod: str, address: str) -> bool:
    code = (
        f"import urllib.request as u; print(u.urlopen('http://{address}:8000/', timeout=2).status)"
    )
    return cluster.in_pod(pod, code).stdout == "200\n"


def ready_status(cluster: Cluster, node: str) -> str:
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    return cluster("get", "node", node, "-o", f"jsonpath={path}")


def machine_traces(instance: Instance) -> dict[str, object]:
    """Everything on the machine that a cluster of this instance could leave behind."""
    marks = (f"{instance.run}/", f"{instance.work}/", f"{instance.prefix}-", f"{instance.bridge}")

    def own_processes() -> list[str]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if any(mark in words for mark in marks):
                found.append(words)
        return found

    def output(*argv: str) -> list[str]:
        done = subprocess.run(argv, text=True, capture_output=True, check=True)
        # Counters of rules and the lifetimes of routes change by themselves.
        stable = re.sub(r"\[\d+:\d+\]|packets \d+ bytes \d+|^#.*$", "", done.stdout, flags=re.M)
        return sorted(stable.splitlines())

    def other(lines: list[str]) -> list[str]:
        """Leave out pods of the shared cluster, which come and go."""
        return [line for line in lines if "veth" not in line and "cali" not in line]

    return {
        "processes": own_processes(),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")),
        "links": other([path.name for path in sorted(Path("/sys/class/net").iterdir())]),
        "groups": sorted(
            str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{instance.prefix}-*")
        ),
        "routes": output("ip", "route", "show", "table", "all"),
        "iptables": output("iptables-save"),
        "nftables": output("nft", "list", "ruleset"),
        "settings": {name: output("sysctl", name) for name in SETTINGS},
        "run": instance.run.exists(),
        "remains": teardown.remains(instance),
    }


def test_down_leaves_nothing_on_the_machine(own: Instance) -> None:
    before = machine_traces(own)
    cluster = bring_up(own, nodes=1)
    cluster.python_pod("web", HTTP_SERVER)
    during = machine_traces(own)
    assert during["processes"], "the check itself does not see the daemons"
    assert during["remains"]
    for _ in range(2):  # the second has nothing to do, and says so without failing
        done = cluster.command("down")
        assert done.returncode == 0, done.stderr
    assert machine_traces(own) == before


def test_up_recovers_after_every_daemon_was_killed(own: Instance) -> None:
    cluster = bring_up(own, nodes=1)
    cluster.python_pod("web", HTTP_SERVER)
    for pid_file in own.run.glob("*.pid"):
        subprocess.run(["kill", "-9", pid_file.read_text().split()[0]], check=True)
    again = cluster.command("up")
    assert again.returncode == 0, again.stderr
    assert "does not run" in again.stderr
    assert ready_status(cluster, "node-1") == "True"
    assert cluster("get", "pods", "-A", "-o", "name").count("pod/coredns") == 1
    assert cluster.command("status").returncode == 0


def test_up_clears_a_start_that_was_cut_off(own: Instance) -> None:
    cluster = bring_up(own, nodes=1)
    state.forget(own)  # as if `up` had been killed before its last line
    assert cluster.command("status").returncode == 1
    again = cluster.command("up")
    assert again.returncode == 0, again.stderr
    assert "removed what was left" in again.stderr
    assert cluster.command("status").returncode == 0


def test_pods_on_two_nodes_reach_each_other(own: Instance) -> None:
    cluster = bring_up(own, nodes=2)
    for index in (1, 2):
        cluster.python_pod(f"web-{index}", HTTP_SERVER, nodeName=f"node-{index}")
    for client, server in (("web-1", "web-2"), ("web-2", "web-1")):
        reached = partial(fetches, cluster, client, cluster.pod_ip(server))
        wait_until(reached, what=f"{client} to reach {server}", timeout_s=20)
    cluster("expose", "pod", "web-1", "--port=8000")
    wait_until(
        lambda: fetches(cluster, "web-2", "web-1"), what="the Service across nodes", timeout_s=20
    )


def test_control_plane_alone_has_no_node_until_one_is_asked_for(own: Instance) -> None:
    done = command_line(own.letter, "up", "--nodes", "0")
    assert done.returncode == 0, done.stderr
    assert Cluster.running(own)("get", "nodes", "-o", "name") == ""
    again = command_line(own.letter, "up")  # as it is
    assert again.returncode == 0, again.stderr
    assert "0 node(s)" in again.stderr
    cluster = bring_up(own, nodes=1)
    assert ready_status(cluster, "node-1") == "True"


def test_lost_node_is_noticed_and_comes_back(own: Instance) -> None:
    bring_up(own, nodes=1)
    cluster = bring_up(own, nodes=2)  # the second one joins the running cluster
    cluster.python_pod("far", HTTP_SERVER, nodeName="node-2", tolerations=TOLERATE)
    cluster.python_pod("near", SLEEP, nodeName="node-1")
    assert cluster.command("node", "stop", "2").returncode == 0
    assert not fetches(cluster, "near", cluster.pod_ip("far"))
    wait_until(
        lambda: ready_status(cluster, "node-2") == "Unknown", what="the loss to show", timeout_s=40
    )
    back = cluster.command("node", "start", "2")
    assert back.returncode == 0, back.stderr
    wait_until(
        lambda: fetches(cluster, "near", cluster.pod_ip("far")),
        what="the pod's return",
        timeout_s=60,
    )


def test_pulled_cable_leaves_pods_running(own: Instance) -> None:
    cluster = bring_up(own, nodes=2)
    cluster.python_pod("far", HTTP_SERVER, nodeName="node-2", tolerations=TOLERATE)
    cluster.python_pod("near", SLEEP, nodeName="node-1")
    address = cluster.pod_ip("far")
    wait_until(lambda: fetches(cluster, "near", address), what="the far pod", timeout_s=20)
    assert cluster.command("node", "stop", "2", "--link-only").returncode == 0
    assert not fetches(cluster, "near", address)
    back = cluster.command("node", "start", "2")
    assert back.returncode == 0, back.stderr
    wait_until(lambda: fetches(cluster, "near", address), what="the same pod", timeout_s=30)
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    assert cluster("get", "pod", "far", "-o", restarts) == "0"


def test_node_that_does_not_exist_or_holds_the_control_plane_is_refused(own: Instance) -> None:
    cluster = bring_up(own, nodes=1)
    for index in ("1", "2", "0"):
        refused = cluster.command("node", "stop", index)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: ")
