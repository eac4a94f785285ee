"""The embedded cluster as a machine: its nodes and daemons, which tests break and mend.

Tests that need one of these skip where the cluster is another one.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e import kube

IS_EMBEDDED = "PODSTREAM_NODE_IP" in os.environ


def command(*words: str) -> None:
    """Run a command of the embedded cluster; skips where the cluster is another one."""
    if not IS_EMBEDDED:
        pytest.skip("needs the embedded cluster")
    environment = {**os.environ, "PYTHONPATH": "tests/cluster"}
    argv = [sys.executable, "-m", "testcluster", *words]
    done = subprocess.run(
        argv, check=False, env=environment, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def is_ready(node: str) -> bool:
    """Whether the control plane holds a node for ready."""
    found = kube.get("node", node, namespace=None)
    assert found is not None
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in found["status"]["conditions"]
    )


def start_node(index: int) -> None:
    """Bring a lost node back; nothing where it is there."""
    command("node", "start", str(index))
    kube.until(lambda: is_ready(f"node-{index}"), what="the node's return", timeout_s=90)


@contextmanager
def cordoned(node: str) -> Iterator[None]:
    """No new pod comes to a node."""
    kube.kubectl("cordon", node, namespace=None)
    try:
        yield
    finally:
        kube.kubectl("uncordon", node, namespace=None)
