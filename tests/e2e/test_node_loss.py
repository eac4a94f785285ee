"""A node is lost under a session: needs two nodes of the embedded cluster (NODES=2)."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from e2e import kube
from e2e.sessions import circle, session

pytestmark = pytest.mark.long

_TESTCLUSTER = [sys.executable, "-m", "testcluster", "node"]


def _node(action: str) -> None:
    environment = {**os.environ, "PYTHONPATH": "tests/cluster"}
    subprocess.run([*_TESTCLUSTER, action, "2"], check=True, env=environment, timeout=120)


@pytest.fixture
def _second_node() -> Iterator[None]:
    if kube.get("node", "node-2", namespace=None) is None:
        pytest.skip("needs a second node: make cluster-up NODES=2 install")
    yield
    _node("start")
    kube.kubectl("wait", "node/node-2", "--for=condition=Ready", "--timeout=90s", namespace=None)


@pytest.mark.usefixtures("_second_node")
def test_lost_node_fails_the_session_and_its_last_live_results_stay() -> None:
    spec = {
        "circle": circle(frames=0),
        "resultsIntervalSeconds": 1,
        "pod": {"nodeSelector": {"kubernetes.io/hostname": "node-2"}},
    }
    with session(spec, prefix="nodeloss") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "90"):
            kube.until(
                lambda: made.circle.get("framesScored", 0) > 10, what="live results", timeout_s=40
            )
            _node("stop")
            made.wait_phase("Failed", timeout_s=150)
        assert made.status["reason"] == "PodLost"
        assert made.status["pod"]["node"] == "node-2"
        assert made.circle["framesScored"] > 10
        assert made.status["results"]["final"] is False
