"""The only router goes: streams stand still until it is back, sessions and pools keep theirs."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from e2e import kube
from e2e.leftovers import wait_for_no_orphans
from e2e.pools import pool
from e2e.processes import processes_of_named_pod
from e2e.sessions import circle, session
from e2e.viewers import assert_unshared, watching, watching_pool

DEPLOYMENT = "deploy/podstream-router"
SELECTOR = "app.kubernetes.io/component=router"
GAP_S = 25.0
"""A new container is there after one to three seconds; a stock client, which gets nothing to answer
to, then says who it is with its next consent check, four to six seconds after the last."""
GREEN = {"color": "#00ff00"}


def _kill(name: str) -> None:
    processes = processes_of_named_pod(name)
    if not processes:
        pytest.skip("the pod's processes are not visible from this machine")
    os.kill(processes[0], signal.SIGKILL)


def _delete(name: str) -> None:
    kube.kubectl("delete", "pod", name, "--grace-period=0", "--force")


@pytest.fixture
def router() -> str:
    """The only router's pod."""
    kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=60s")
    found = [
        pod["metadata"]["name"]
        for pod in kube.items("pods", selector=SELECTOR)
        if "deletionTimestamp" not in pod["metadata"]
    ]
    if len(found) != 1:
        pytest.skip("several routers: see test_router_replicas.py")
    name: str = found[0]
    return name


@pytest.mark.long
@pytest.mark.parametrize(
    "fell",
    [
        pytest.param(_kill, id="crashed"),
        pytest.param(_delete, id="deleted"),
    ],
)
def test_streams_outlive_the_only_router(router: str, fell: Callable[[str], None]) -> None:
    """A session's client, and one whom a pool has given a warm pod."""
    frames = circle(frames=450, ball=GREEN)
    with (
        pool(warm=2, max=3, template={"circle": frames}) as made,
        session({"circle": frames}, prefix="router") as own,
    ):
        own.wait_phase("Ready")
        made.wait(warm=2)
        with watching(own) as first, watching_pool(made) as second:
            given = second.session()
            given.wait_phase("Connected")
            began = time.time()
            fell(router)
            with watching_pool(made, patience_s=60) as third:
                served_s = third.frames[0] - began
                late = third.session()
                late.wait_phase("Connected")
                assert_unshared((first, own), (second, given), (third, late))
                for viewer in (first, second):
                    viewer.wait_for_end()
            gaps = [viewer.longest_gap_s(since=began) for viewer in (first, second)]
        for each in (own, given):
            each.wait_phase("Completed")
            assert each.circle["framesScored"] == 450
            assert each.status["results"]["final"] is True
            assert each.status["pod"].get("restarts", 0) == 0
        assert {one.name for one in made.sessions()} == {given.name, late.name}
    print(
        "\nonly router gone: " + ", ".join(f"{gap:.1f}" for gap in gaps) + " s without a frame, "
        f"next client served after {served_s:.1f} s"
    )
    assert max(gaps) < GAP_S
    wait_for_no_orphans()
