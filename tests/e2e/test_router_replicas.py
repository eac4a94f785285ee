"""Streams that are older than the router replica that carries them.

Clients are stock aiortc: they check consent every four to six seconds, and nothing else in their
packets says to whom these belong.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from e2e import kube
from e2e.processes import processes_of_named_pod
from e2e.sessions import Session, circle, session
from e2e.viewers import watching

ROOT = Path(__file__).parents[2]
DEPLOYMENT = "deploy/podstream-router"
SELECTOR = "app.kubernetes.io/component=router"
GAP_S = 3.0
"""Bound of the time without a frame. A client sends a consent check every four to six seconds; what
dies right after one is not replaced by checks alone in less than four."""


def upgrade(**values: int) -> None:
    """Change values of the installation and wait until it is as they say."""
    settings = [f"router.{name}={value}" for name, value in values.items()]
    command = ["helm", "upgrade", "podstream", str(ROOT / "helm/podstream"), "--reuse-values"]
    command += ["--namespace", kube.NAMESPACE, "--wait", "--timeout", "120s"]
    subprocess.run(
        [*command, "--set", ",".join(settings)], check=True, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def _two() -> Iterator[None]:
    found = kube.get("deployment", "podstream-router")
    assert found is not None
    upgrade(replicas=2)
    yield
    upgrade(replicas=found["spec"]["replicas"])


@pytest.fixture
def replicas(_two: None) -> list[str]:
    """Names of two ready routers that know each other."""

    def settled() -> list[str]:
        names = running()
        peers = [figure(name, "podstream_router_peers") for name in names]
        return names if peers == [1.0, 1.0] else []

    kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=120s")
    return kube.until(settled, what="two routers that know each other")


def running() -> list[str]:
    """Routers that are not ending."""
    return [
        pod["metadata"]["name"]
        for pod in kube.items("pods", selector=SELECTOR)
        if not pod["metadata"].get("deletionTimestamp") and pod["status"]["phase"] == "Running"
    ]


def figure(pod: str, name: str) -> float:
    """A figure of a router; 0 where it has none, or does not answer."""
    read = "import urllib.request as r;print(r.urlopen('http://127.0.0.1:8082/metrics').read().decode())"
    try:
        text = kube.kubectl("exec", pod, "--", "python", "-c", read)
    except kube.Refused:
        return 0.0
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def carrier() -> str:
    """The router that has the media flow."""
    flows = 'podstream_router_media_flows{state="confirmed"}'

    def find() -> str | None:
        return next((name for name in running() if figure(name, flows) > 0), None)

    found = kube.until(find, what="a router that carries media")
    assert found is not None
    return found


@contextmanager
def ready(frames: int, prefix: str) -> Iterator[Session]:
    """A session that a client can connect to."""
    workload = circle(frames=frames, ball={"color": "#00ff00"})
    with session({"circle": workload}, prefix=prefix) as made:
        made.wait_phase("Ready")
        yield made


def assert_complete(made: Session, *, frames: int) -> None:
    made.wait_phase("Completed", timeout_s=90)
    assert made.circle["framesScored"] == frames
    assert made.circle["rmsePx"] < 2
    assert made.status["results"]["final"] is True


def test_stream_goes_on_when_its_router_is_deleted_at_once(replicas: list[str]) -> None:
    with ready(450, "forced") as made, watching(made) as viewer:
        first = carrier()
        viewer.wait_for_check()
        began = time.time()
        kube.kubectl("delete", "pod", first, "--grace-period=0", "--force")
        viewer.wait_for_end()
        gap_s = viewer.longest_gap_s(since=began)
        print(f"\nrouter deleted at once: {gap_s:.2f} s without a frame")
        assert_complete(made, frames=450)
    assert gap_s < GAP_S


def test_stream_goes_on_when_its_router_crashes(replicas: list[str]) -> None:
    with ready(450, "crash") as made, watching(made) as viewer:
        first = carrier()
        processes = processes_of_named_pod(first)
        if not processes:
            pytest.skip("the pod's processes are not visible from this machine")
        viewer.wait_for_check()
        began = time.time()
        os.kill(processes[0], signal.SIGKILL)
        viewer.wait_for_end()
        gap_s = viewer.longest_gap_s(since=began)
        print(f"\nrouter crashed: {gap_s:.2f} s without a frame")
        assert_complete(made, frames=450)
    assert gap_s < GAP_S


def test_rolling_restart_loses_no_stream(replicas: list[str]) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(ready(900, f"roll{index}")) for index in range(2)]
        viewers = [stack.enter_context(watching(made)) for made in sessions]
        began = time.time()
        kube.kubectl("rollout", "restart", DEPLOYMENT)
        kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=120s")
        gaps = []
        for made, viewer in zip(sessions, viewers, strict=True):
            viewer.wait_for_end()
            gaps.append(viewer.longest_gap_s(since=began))
            assert_complete(made, frames=900)
        print(
            "\nrolling restart: " + ", ".join(f"{gap:.2f}" for gap in gaps) + " s without a frame"
        )
    assert max(gaps) < GAP_S
    assert not set(replicas) & set(running())
