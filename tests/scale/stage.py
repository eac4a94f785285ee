"""Where the scale test plays: a real control plane, simulated nodes, real operator, played agents.

machine            test: creates sessions, watches them, reads the audit log
network namespace  etcd, API server, controllers, scheduler   (testcluster, 0 nodes)
                   kwok: says that every pod of its nodes runs, at an address of POD_CIDR
                   scale.agent_farm: answers at every one of these addresses
                   podstream-operator: as the chart runs it, with its service account's rights
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from podstream_core.ports import OPERATOR_HTTP_PORT
from podstream_core.tokens import PublicKeys, SigningKey
from scale.agent_farm import ADMIN_PORT
from testcluster import processes
from testcluster.command import run, wait_until
from testcluster.daemons import LOST_NODE_AFTER_S
from testcluster.driver import Cluster, command_line
from testcluster.instance import API_PORT, POD_CIDR, Instance, from_environment
from testcluster.processes import Daemon

LETTER: Final = "x"
"""A cluster of its own: what runs in the usual one is neither disturbed nor measured."""
NAMESPACE: Final = "podstream"
OPERATOR_USER: Final = f"system:serviceaccount:{NAMESPACE}:podstream-operator"
PODS_PER_NODE: Final = 250

_ROOT: Final = Path(__file__).resolve().parents[2]
_CHART: Final = _ROOT / "helm" / "podstream"
_RIGHTS: Final = ("ServiceAccount", "Role", "RoleBinding")
_STAGES: Final = Path(__file__).with_name("kwok-stages.yaml")
_SCRIPTS: Final = Path(sys.executable).parent
_TOKEN_LIFETIME: Final = "24h"  # longer than any run


@dataclass(frozen=True)
class Stage:
    """A control plane with simulated nodes; the operator is started and stopped by the test."""

    cluster: Cluster
    folder: Path
    """Keys and the operator's kubeconfig."""
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def instance(self) -> Instance:
        return self.cluster.instance

    @property
    def api_url(self) -> str:
        return f"https://{self.instance.api_ip}:{API_PORT}"

    @property
    def operator_url(self) -> str:
        return f"http://{self.instance.api_ip}:{OPERATOR_HTTP_PORT}"

    @property
    def farm_url(self) -> str:
        return f"http://{self.instance.api_ip}:{ADMIN_PORT}"

    @property
    def audit_log(self) -> Path:
        return self.instance.log / "audit.log"

    def daemon(self, name: str, *argv: str, **environment: str) -> Daemon:
        """A process beside the control plane; it ends with the cluster at the latest."""
        return Daemon(
            name=name,
            argv=argv,
            netns=self.instance.node(1).netns_path,
            run=self.instance.run,
            log=self.instance.log,
            environment=environment,
        )

    def start(self, daemon: Daemon) -> None:
        """Start a process of the stage."""
        child = processes.start(daemon)
        if child is not None:
            self.children.append(child)

    def start_operator(self) -> int:
        """Start the operator with the chart's environment; its pid."""
        environment = {
            **_chart_environment(self.cluster.kubectl.binaries, ip=self.instance.api_ip),
            "KUBECONFIG": str(self.folder / "operator.kubeconfig"),
            "PODSTREAM_KEYS_DIR": str(self.folder),
            "PODSTREAM_LOG_LEVEL": os.environ.get("PODSTREAM_LOG_LEVEL", "info"),
        }
        operator = self.daemon("operator", str(_SCRIPTS / "podstream-operator"), **environment)
        self.start(operator)
        return self.operator_pid()

    def operator_pid(self) -> int:
        """The running operator's process id."""
        pid = processes.running_pid(self.instance.run / "operator.pid")
        assert pid is not None, "the operator does not run"
        return pid

    def stop_operator(self) -> None:
        """End the operator as Kubernetes does: SIGTERM, and SIGKILL when it takes too long."""
        processes.stop(self.instance.run / "operator.pid", timeout_s=30)

    def check_alive(self) -> None:
        """Raise ClusterError with its last words where the operator or a helper has ended."""
        processes.check_alive(self.daemon(name) for name in ("operator", "agents", "kwok"))


@contextmanager
def running_stage(folder: Path, *, sessions: int) -> Iterator[Stage]:
    """A stage with room for so many sessions; everything is removed at the end."""
    instance = Instance(letter=LETTER, cache=from_environment().cache)
    _command(instance, "down")
    children: list[subprocess.Popen[bytes]] = []
    try:
        _command(instance, "up", "--nodes", "0")
        cluster = Cluster.running(instance, namespace=NAMESPACE)
        stage = Stage(cluster, folder, children)
        _install(stage)
        _start_players(stage, nodes=sessions // PODS_PER_NODE + 2)
        yield stage
    finally:
        _command(instance, "down")
        for child in children:
            child.wait(timeout=10)


def _command(instance: Instance, *words: str) -> None:
    done = command_line(instance.letter, *words)
    assert done.returncode == 0, done.stderr


def _install(stage: Stage) -> None:
    """CRDs, the chart's RBAC, keys, and a kubeconfig with the operator's own token."""
    kubectl = stage.cluster.kubectl
    kubectl("apply", "--server-side", "-f", _CHART / "crds")
    established = ("wait", "crd", "--all", "--for=condition=Established", "--timeout=5s")
    wait_until(lambda: kubectl.succeeds(*established), what="the CRDs", timeout_s=60)
    kubectl("create", "namespace", NAMESPACE)
    rights = [item for item in _chart(kubectl.binaries) if item["kind"] in _RIGHTS]
    kubectl.apply(yaml.safe_dump_all(rights))
    wait_until(
        lambda: kubectl.succeeds("-n", NAMESPACE, "get", "serviceaccount", "default"),
        what="the namespace's service account",
        timeout_s=20,
    )
    assignment = SigningKey.generate()
    for name, key in (("assignment", assignment), ("client", SigningKey.generate())):
        (stage.folder / f"{name}.pem").write_bytes(_pem(key))
    (stage.folder / "jwks.json").write_text(PublicKeys.of(assignment).to_jwks())
    token = stage.cluster("create", "token", "podstream-operator", f"--duration={_TOKEN_LIFETIME}")
    admin = yaml.safe_load(stage.instance.kubeconfig.read_text())
    admin["users"][0]["user"] = {"token": token.strip()}
    (stage.folder / "operator.kubeconfig").write_text(yaml.safe_dump(admin))


def _pem(key: SigningKey) -> bytes:
    return key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _start_players(stage: Stage, *, nodes: int) -> None:
    """Simulated nodes and the process that answers for their pods."""
    netns = stage.instance.node(1).netns
    run(["ip", "-n", netns, "route", "add", "local", POD_CIDR, "dev", "lo"])
    binaries = stage.cluster.kubectl.binaries
    first = POD_CIDR.replace(".0/", ".1/")
    kwok = stage.daemon(
        "kwok",
        str(binaries / "kwok"),
        f"--kubeconfig={stage.instance.kubeconfig}",
        "--manage-all-nodes",
        f"--cidr={first}",
        f"--config={_STAGES}",
        f"--node-lease-duration-seconds={LOST_NODE_AFTER_S}",
        f"--node-ip={stage.instance.api_ip}",
    )
    farm = stage.daemon(
        "agents",
        sys.executable,
        "-m",
        "scale.agent_farm",
        f"--keys={stage.folder / 'jwks.json'}",
        f"--hints=http://127.0.0.1:{OPERATOR_HTTP_PORT}/hint",
        PYTHONPATH=str(_ROOT / "tests"),
    )
    stage.cluster.apply(*(_node(index) for index in range(nodes)))
    for daemon in (kwok, farm):
        stage.start(daemon)
    wait_until(
        lambda: all(map(_is_ready, stage.cluster.kubectl.list("nodes"))),
        what="the simulated nodes",
        timeout_s=60,
        alive=lambda: processes.check_alive([kwok, farm]),
    )


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _node(index: int) -> dict[str, Any]:
    room = {"cpu": "1000", "memory": "1000Gi", "pods": str(PODS_PER_NODE)}
    room["ephemeral-storage"] = "1000Gi"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"simulated-{index}"},
        "status": {"allocatable": room, "capacity": room},
    }


def _chart(binaries: Path) -> list[dict[str, Any]]:
    """The chart's objects, as Helm renders them with its own values."""
    argv: list[str | Path] = [binaries / "helm", "template", "podstream", _CHART, "-n", NAMESPACE]
    return [item for item in yaml.safe_load_all(run(argv).stdout) if item]


def _chart_environment(binaries: Path, *, ip: str) -> dict[str, str]:
    """The operator's environment as the chart's Deployment writes it."""
    fields = {
        "metadata.name": "podstream-operator-0",
        "metadata.namespace": NAMESPACE,
        "metadata.uid": str(uuid.uuid4()),
        "status.podIP": ip,
    }
    deployment = next(
        item
        for item in _chart(binaries)
        if item["kind"] == "Deployment" and item["metadata"]["name"] == "podstream-operator"
    )
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {
        item["name"]: item["value"]
        if "value" in item
        else fields[item["valueFrom"]["fieldRef"]["fieldPath"]]
        for item in container["env"]
    }
