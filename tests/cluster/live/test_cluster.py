"""What the project relies on a cluster for, seen on the embedded one."""

import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from testcluster import audit
from testcluster.command import wait_until
from testcluster.driver import Cluster

pytestmark = pytest.mark.e2e

CHART = Path(__file__).resolve().parent / "trivial-chart"

HTTP_SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000)"
UDP_ECHO = """
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 9000))
while True:
    data, peer = udp.recvfrom(2000)
    udp.sendto(b"echo " + data, peer)
"""
SLEEP = "import time; time.sleep(1e6)"


def get(url: str) -> str:
    """Code for a pod: fetch a URL within 3 s, print the status."""
    return f"import urllib.request as u; print(u.urlopen({url!r}, timeout=3).status)"


def service(name: str, *, port: int, protocol: str = "TCP", **spec: Any) -> dict[str, Any]:
    ports = [{"port": port, "protocol": protocol}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def test_restricted_pod_runs_and_its_output_can_be_read(cluster: Cluster) -> None:
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    limits = {"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "10Mi"}
    code = "import os\nprint('uid', os.getuid())\nopen('/dev/termination-log', 'w').write('done')"
    pod = {"securityContext": security, "resources": {"limits": limits}}
    cluster(
        "label", "namespace", cluster.namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    cluster.python_job("once", code, container=pod)
    assert cluster("logs", "once") == "uid 65532\n"
    path = "{.status.containerStatuses[0].state.terminated.message}"
    assert cluster("get", "pod", "once", "-o", f"jsonpath={path}") == "done"


def test_service_answers_a_pod_by_its_name(cluster: Cluster) -> None:
    cluster.apply(service("web", port=8000))
    cluster.python_pod("web", HTTP_SERVER)
    cluster.python_pod("client", SLEEP)
    url = f"http://web.{cluster.namespace}.svc.cluster.local:8000/"
    wait_until(
        lambda: cluster.in_pod("client", get(url)).stdout == "200\n",
        what="the Service to answer",
        timeout_s=20,
    )


def test_dns_knows_the_api_server(cluster: Cluster) -> None:
    cluster.python_pod("client", SLEEP)
    code = "import socket; print(socket.gethostbyname('kubernetes.default'))"
    assert cluster.in_pod("client", code).stdout == "10.96.0.1\n"


def test_node_port_answers_the_machine_over_tcp(cluster: Cluster) -> None:
    cluster.apply(service("web", port=8000, type="NodePort"))
    cluster.python_pod("web", HTTP_SERVER)
    url = f"http://{cluster.instance.api_ip}:{cluster.node_port('web')}/"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    wait_until(answers, what=f"{url} to answer", timeout_s=20)


def test_node_port_answers_the_machine_over_udp(cluster: Cluster) -> None:
    cluster.apply(service("echo", port=9000, protocol="UDP", type="NodePort"))
    cluster.python_pod("echo", UDP_ECHO)
    address = (cluster.instance.api_ip, cluster.node_port("echo"))

    def echoes() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(1)
            try:
                udp.sendto(b"hello", address)
                return udp.recv(2000) == b"echo hello"
            except OSError:
                return False

    wait_until(echoes, what="the UDP echo", timeout_s=20)


def test_network_policy_closes_and_opens_a_pod(cluster: Cluster) -> None:
    cluster.python_pod("web", HTTP_SERVER)
    cluster.python_pod("client", SLEEP)
    url = f"http://{cluster.pod_ip('web')}:8000/"

    def is_open() -> bool:
        return cluster.in_pod("client", get(url)).returncode == 0

    wait_until(is_open, what="the server to answer", timeout_s=20)
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
    }
    cluster.apply(policy)
    wait_until(lambda: not is_open(), what="the policy to close the pod", timeout_s=20)
    cluster("delete", "networkpolicy", "closed")
    wait_until(is_open, what="the pod to open again", timeout_s=20)


def test_packets_for_pods_never_leave_by_the_machines_default_route(cluster: Cluster) -> None:
    cluster.python_pod("web", HTTP_SERVER)
    with pytest.raises(OSError, match=r"unreachable|No route"):
        socket.create_connection((cluster.pod_ip("web"), 8000), timeout=2)


def test_helm_installs_a_chart(cluster: Cluster) -> None:
    helm = [str(cluster.kubectl.binaries / "helm"), "--namespace", cluster.namespace]
    environment = {**os.environ, "KUBECONFIG": str(cluster.instance.kubeconfig)}
    argv = [*helm, "install", "demo", str(CHART), "--set=greeting=hi", "--wait", "--timeout=60s"]
    done = subprocess.run(argv, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    code = "import os; print(os.environ['greeting'])"
    assert cluster("exec", "deployment/demo", "--", "python3", "-c", code) == "hi\n"


def test_volume_keeps_its_content_from_one_pod_to_the_next(cluster: Cluster) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.apply(claim)
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    user = {"runAsUser": 65532, "runAsNonRoot": True}
    spec = {"container": mount, "volumes": volumes, "securityContext": user}
    cluster.python_pod("writer", f"open('/data/file', 'w').write('kept')\n{SLEEP}", **spec)
    cluster("delete", "pod", "writer", "--wait=true")
    cluster.python_pod("reader", SLEEP, **spec)
    assert cluster.in_pod("reader", "print(open('/data/file').read())").stdout == "kept\n"


def test_audit_log_counts_writes_by_user(cluster: Cluster) -> None:
    log = cluster.instance.log / "audit.log"
    user = f"system:serviceaccount:{cluster.namespace}:counted"
    cluster("create", "serviceaccount", "counted")
    cluster("create", "role", "counted", "--verb=create,get", "--resource=configmaps")
    cluster("create", "rolebinding", "counted", "--role=counted", f"--serviceaccount={user[22:]}")
    since = audit.end_of(log)
    for name in ("one", "two", "three"):
        cluster("create", "configmap", name, f"--as={user}")
    cluster("get", "configmap", "one", f"--as={user}")
    cluster("delete", "configmap", "one")
    requests = list(audit.read(log, since=since))
    assert audit.writes_by_user(requests)[user] == 3
    created = [each.name for each in requests if each.user == user and each.verb == "create"]
    assert created == ["one", "two", "three"]


def test_up_again_changes_nothing_and_is_quick(cluster: Cluster) -> None:
    before = json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    done = cluster.command("up")
    assert done.returncode == 0, done.stderr
    assert "The cluster is up" in done.stderr
    after = json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert [node["metadata"]["uid"] for node in before] == [n["metadata"]["uid"] for n in after]
