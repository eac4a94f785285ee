"""Drives a running cluster from a test: kubectl in a namespace, Python pods, the command line."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcluster import state
from testcluster.errors import ClusterError
from testcluster.instance import Instance
from testcluster.kubectl import Kubectl
from testcluster.versions import PYTHON_IMAGE

_PACKAGE_PARENT = Path(__file__).resolve().parent.parent
_COMMAND_TIMEOUT_S = 240


def command_line(letter: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line for one instance, without checking its exit code."""
    environment = {**os.environ, "PODSTREAM_CLUSTER": letter, "PYTHONPATH": str(_PACKAGE_PARENT)}
    return subprocess.run(
        [sys.executable, "-m", "testcluster", *arguments],
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=_COMMAND_TIMEOUT_S,
    )


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a test does with a cluster, in one of its namespaces."""

    instance: Instance
    kubectl: Kubectl
    namespace: str = "default"

    @classmethod
    def running(cls, instance: Instance, *, namespace: str = "default") -> "Cluster":
        """Return the running cluster of an instance. Raises ClusterError when it is down."""
        running = state.load(instance)
        if running is None:
            raise ClusterError(f"Instance {instance.letter} is not up.", fix="testcluster up")
        return cls(instance, Kubectl(instance, Path(running.binaries)), namespace)

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        return self.kubectl("-n", self.namespace, *arguments, stdin=stdin).stdout

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command_line(self.instance.letter, *arguments)

    def apply(self, *documents: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self("apply", "-f", "-", stdin=json.dumps(items))

    def python_pod(self, name: str, code: str, **spec: Any) -> None:
        """Run Python code as a pod and wait until it is ready."""
        self.apply(python_pod(name, code, **spec))
        self("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    def python_job(self, name: str, code: str, **spec: Any) -> None:
        """Run Python code as a pod and wait until it has succeeded."""
        self.apply(python_pod(name, code, restartPolicy="Never", **spec))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        self("wait", done, f"pod/{name}", "--timeout=60s")

    def in_pod(self, name: str, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python code in a pod."""
        words = ("-n", self.namespace, "exec", name, "--", "python3", "-c", code)
        return self.kubectl(*words, check=False)

    def pod_ip(self, name: str) -> str:
        return self("get", "pod", name, "-o", "jsonpath={.status.podIP}")

    def node_port(self, service: str) -> int:
        return int(self("get", "service", service, "-o", "jsonpath={.spec.ports[0].nodePort}"))


def python_pod(name: str, code: str, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "python",
        "image": PYTHON_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", code],
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }
