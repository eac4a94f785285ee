"""A node's kubelet or containerd starts again: containers run on, and what plays in them."""

import time
from collections.abc import Callable

import pytest

from e2e import kube, machine
from e2e.leftovers import births, wait_for_no_orphans
from e2e.pools import pool
from e2e.sessions import circle, session
from e2e.viewers import assert_unshared, watching, watching_pool

pytestmark = pytest.mark.long

_GREEN = {"color": "#00ff00"}


def _node_of_router() -> str:
    (router,) = kube.items("pods", selector="app.kubernetes.io/component=router")
    name: str = router["spec"]["nodeName"]
    return name


def _heartbeat(node: str) -> Callable[[], bool]:
    """Whether the kubelet has told since now that it lives."""
    before = _renewed(node)
    return lambda: _renewed(node) > before and machine.is_ready(node)


def _renewed(node: str) -> str:
    lease = kube.get("lease", node, namespace="kube-node-lease")
    assert lease is not None
    at: str = lease["spec"]["renewTime"]
    return at


@pytest.mark.parametrize("daemon", ["kubelet", "containerd"])
def test_restart_cuts_nothing_and_loses_nothing(daemon: str) -> None:
    node = _node_of_router()
    here = {"nodeSelector": {"kubernetes.io/hostname": node}}
    workload = circle(frames=450, ball=_GREEN)
    with (
        pool(warm=2, max=4, template={"circle": workload, "pod": here}) as made,
        session({"circle": workload, "pod": here}, prefix="daemon") as own,
        births(f"podstream.dev/pool={made.name}") as born,
    ):
        own.wait_phase("Ready")
        made.wait(warm=2)
        with watching(own) as first, watching_pool(made) as second:
            given = second.session()
            made.wait(warm=2, inUse=1)
            began = time.time()
            tells = _heartbeat(node)
            machine.command("restart", f"{daemon}-{node.removeprefix('node-')}")
            with watching_pool(made) as third:
                served_s = third.frames[0] - began
                late = third.session()
                late.wait_phase("Connected")
                assert_unshared((first, own), (second, given), (third, late))
                for viewer in (first, second):
                    viewer.wait_for_end()
                    assert viewer.longest_gap_s(since=began) < 2
            kube.until(tells, what="the kubelet's next word")
            made.wait(warm=2)
        for each in (own, given):
            each.wait_phase("Completed")
            assert each.circle["framesScored"] == 450
            assert each.status["results"]["final"] is True
            assert each.status["pod"].get("restarts", 0) == 0
        assert born.count == 4, "two to begin with, one for each that was taken"
    print(f"\n{daemon} restarted: a client that came then was served after {served_s:.1f} s")
    wait_for_no_orphans()
