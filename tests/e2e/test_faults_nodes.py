"""A node is lost, or drained, under sessions and pools: needs two nodes (NODES=2).

The router is on node 1, sessions and idle pods on both.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from e2e import kube, machine
from e2e.leftovers import births, wait_for_no_orphans
from e2e.operators import DEPLOYMENT as OPERATOR
from e2e.operators import operators
from e2e.pools import SMALL, pool
from e2e.sessions import Session, names, session
from e2e.viewers import Viewer, assert_not_cut, assert_unshared, ball, watching, watching_pool

pytestmark = pytest.mark.long

_SPREAD = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "ScheduleAnyway",
}
HERE, THERE = "node-1", "node-2"


def _pinned(node: str) -> dict[str, Any]:
    return {**SMALL, "nodeSelector": {"kubernetes.io/hostname": node}}


@pytest.fixture
def _two_nodes() -> Iterator[None]:
    """Two nodes; podstream's own pods on the first, so that only sessions are struck."""
    if kube.get("node", THERE, namespace=None) is None:
        pytest.skip("needs a second node: make cluster-up NODES=2 install")
    machine.start_node(2)
    with machine.cordoned(THERE):
        for pod in kube.items("pods", selector="app.kubernetes.io/part-of=podstream"):
            component = pod["metadata"]["labels"].get("app.kubernetes.io/component")
            if component in ("operator", "router") and pod["spec"]["nodeName"] == THERE:
                kube.kubectl("delete", "pod", pod["metadata"]["name"])
        for deployment in (OPERATOR, "deploy/podstream-router"):
            kube.kubectl("rollout", "status", deployment, "--timeout=90s")
        kube.until(lambda: len(operators()) == 1, what="one operator")
    yield
    machine.start_node(2)
    kube.kubectl("uncordon", THERE, namespace=None)


class Struck:
    """A session a node with a client each, and a pool with two idle pods and a client a node."""

    def __init__(self, stack: ExitStack) -> None:
        plays = {"circle": ball(), "resultsIntervalSeconds": 1}
        template = {**plays, "pod": {**SMALL, "topologySpreadConstraints": [self._spread()]}}
        self.pool = stack.enter_context(pool(warm=2, max=6, template=template))
        self.here = stack.enter_context(session({**plays, "pod": _pinned(HERE)}, prefix="here"))
        self.there = stack.enter_context(session({**plays, "pod": _pinned(THERE)}, prefix="there"))
        again = {**plays, "restartPolicy": "OnPodLoss"}
        self.replaced = stack.enter_context(
            session({**again, "pod": {**SMALL, "affinity": _prefers(THERE)}}, prefix="again")
        )
        self.viewers: dict[Session, Viewer] = {}
        self.pool.wait(warm=2)
        for made in (self.here, self.there, self.replaced):
            made.wait_phase("Ready")
            self.viewers[made] = stack.enter_context(watching(made))
        for _ in range(2):
            self.pool.wait(warm=2)
            viewer = stack.enter_context(watching_pool(self.pool))
            made = viewer.session()
            made.wait_phase("Connected")
            self.viewers[made] = viewer
        self.pool.wait(warm=2, inUse=2)
        self.nodes = {made: made.status["pod"]["node"] for made in self.viewers}
        self.uids = {made: made.status["pod"]["uid"] for made in self.viewers}
        assert set(self.nodes.values()) == {HERE, THERE}
        assert_unshared(*((viewer, made) for made, viewer in self.viewers.items()))

    @staticmethod
    def _spread() -> dict[str, Any]:
        return {**_SPREAD, "labelSelector": {"matchLabels": {"podstream.dev/role": "session"}}}

    def on(self, node: str) -> list[Session]:
        return [made for made, at in self.nodes.items() if at == node]

    def settle(self, *, began: float) -> dict[str, float]:
        """Assert what every session and the pool have come to; seconds until then."""
        lost = [made for made in self.on(THERE) if made != self.replaced]
        for made in lost:
            made.wait_phase("Failed", timeout_s=120)
        failed_s = time.time() - began
        for made in lost:
            assert made.status["reason"] == "PodLost"
            assert made.status["pod"]["node"] == THERE
            assert made.circle["framesScored"] > 10, "the last live results stay"
        self.pool.wait(warm=2, inUse=sum(made in self.on(HERE) for made in self.pool.sessions()))
        refilled_s = time.time() - began
        assert {pod["spec"]["nodeName"] for pod in self.pool.pods()} == {HERE}
        kube.until(
            lambda: (
                self.replaced.status["pod"].get("restarts") == 1 and self.replaced.phase == "Ready"
            ),
            what="the replacement of a lost pod",
            timeout_s=120,
        )
        replaced_s = time.time() - began
        assert self.replaced.status["pod"]["node"] == HERE
        for made in self.on(HERE):
            assert made.phase == "Connected"
            assert made.status["pod"]["uid"] == self.uids[made]
            assert_not_cut(self.viewers[made], since=began)
        return {"failed": failed_s, "pool full": refilled_s, "replaced": replaced_s}


def _prefers(node: str) -> dict[str, Any]:
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    preference = {"matchExpressions": [term]}
    wish = {"weight": 100, "preference": preference}
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}


def _strike_by_loss() -> None:
    machine.command("node", "stop", "2")


def _strike_by_drain() -> None:
    kube.kubectl(
        "drain", THERE, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s",
        namespace=None,
    )  # fmt: skip


@pytest.mark.usefixtures("_two_nodes")
@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(_strike_by_loss, id="lost"),
        pytest.param(_strike_by_drain, id="drained"),
    ],
)
def test_node_goes_under_sessions_and_a_pool(strike: Any) -> None:
    with ExitStack() as stack:
        ground = Struck(stack)
        born = stack.enter_context(births(f"podstream.dev/pool={ground.pool.name}"))
        kube.until(lambda: born.count >= 4, what="the pods that are there")
        before = born.count
        began = time.time()
        strike()
        took = ground.settle(began=began)
        with watching_pool(ground.pool) as late:
            served = late.session()
            served.wait_phase("Connected")
            assert served.status["pod"]["node"] == HERE
            assert_unshared((late, served), *((ground.viewers[m], m) for m in ground.on(HERE)))
        counted = born.count - before
        # What was idle there, at most both, once; one for the client that came afterwards.
        assert counted <= 3 + len(names(ground.pool.pods()))
        print("\n" + ", ".join(f"{what} after {s:.1f} s" for what, s in took.items()), end="")
        print(f", {counted} new pods of the pool")
        machine.start_node(2)
        wait_for_no_orphans()
