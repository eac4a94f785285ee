"""Pods that cannot start, of pools: told with their cause, tried ever more seldom, no storm."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e import kube
from e2e.http import post_offer
from e2e.leftovers import births, wait_for_no_orphans
from e2e.pools import SMALL, pool
from e2e.sessions import circle, session
from e2e.viewers import assert_not_cut, assert_unshared, ball, watching_pool

pytestmark = pytest.mark.long

DEPLOYMENT = "deploy/podstream-operator"
IMAGE = "PODSTREAM_SESSION_IMAGE"
MISSING = "podstream.invalid/session:none"
WATCHED_S = 60.0
"""How long pods are counted that come and go."""
NOWHERE = {"nodeSelector": {"no-such": "node"}}
TINY = {"resources": {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}}}


def most_pods(*, limit: int, patience_s: float) -> int:
    """Pods that a pool may start in `WATCHED_S` where each of them hangs for so long, then goes.

    After the first failure the pool waits 1 s, then 2, 4, 8 … up to 60 s before it tries again; in
    each round it has as many as it may, while a connection waits.
    """
    at, wait_s, rounds = 0.0, 1.0, 1
    while (at := at + patience_s + wait_s) < WATCHED_S:
        rounds += 1
        wait_s = min(2 * wait_s, 60.0)
    return limit * rounds


@pytest.mark.parametrize(
    ("pod", "reasons", "patience_s"),
    [
        pytest.param(NOWHERE, {"Unschedulable"}, 10, id="no node fits"),
        pytest.param(
            TINY, {"PodsFail", "RunContainerError", "CreateContainerError"}, 0, id="no memory"
        ),
    ],
)
def test_pool_whose_pods_cannot_start(
    pod: dict[str, Any], reasons: set[str], patience_s: float
) -> None:
    template = {"circle": circle(frames=0), "pod": pod, "startupTimeoutSeconds": 10}
    with pool(warm=2, max=3, template=template) as made:
        with births(f"podstream.dev/pool={made.name}") as born:
            begun = time.monotonic()
            kube.until(
                lambda: made.condition("Ready").get("reason") in reasons, what=f"one of {reasons}"
            )
            told_s = time.monotonic() - begun
            reason = made.condition("Ready")["reason"]
            with session(
                {
                    "circle": circle(),
                    "pod": pod,
                    "poolRef": {"name": made.name},
                    "startupTimeoutSeconds": 10,
                },
                prefix="nostart",
            ) as refers:
                refers.wait_phase("Failed", timeout_s=60)
                ended = refers.status["reason"]
                assert ended in {"StartupTimeout", "OOMKilled", "PodLost"}
                assert refers.status["message"]
            answer = post_offer(made.endpoint())
            assert answer.status == 503, answer.text
            kube.until(
                lambda: time.monotonic() - begun > WATCHED_S,
                what="the time to pass in which pods are counted",
                timeout_s=WATCHED_S,
            )
            counted = born.count
        assert made.sessions() == []
    print(
        f"\n{reason} told after {told_s:.1f} s, the session {ended}, "
        f"{counted} pods in {WATCHED_S} s"
    )
    assert counted <= most_pods(limit=3, patience_s=patience_s)
    wait_for_no_orphans()


@contextmanager
def missing_image() -> Iterator[None]:
    """An installation whose session image cannot be pulled, as after a mistyped upgrade."""
    found = kube.get("deployment", "podstream-operator")
    assert found is not None
    (container,) = found["spec"]["template"]["spec"]["containers"]
    (image,) = [item["value"] for item in container["env"] if item["name"] == IMAGE]
    _set_image(MISSING)
    try:
        yield
    finally:
        _set_image(image)


def _set_image(image: str) -> None:
    kube.kubectl("set", "env", DEPLOYMENT, f"{IMAGE}={image}")
    kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=90s")


def test_missing_image_leaves_what_runs_alone_and_is_told() -> None:
    """Warm pods of the old image serve on: new ones replace them only once they are ready."""
    template = {"circle": ball(), "pod": SMALL}
    with pool(warm=2, max=4, template=template) as made, watching_pool(made) as early:
        played = early.session()
        made.wait(warm=2, inUse=1)
        with births(f"podstream.dev/pool={made.name}") as born:
            before = born.count
            began = time.time()
            with missing_image():
                kube.until(
                    lambda: made.condition("RolledOut").get("reason") == "ImagePullBackOff",
                    what="ImagePullBackOff",
                    timeout_s=90,
                )
                told_s = time.time() - began
                assert MISSING in made.condition("RolledOut")["message"]
                assert made.condition("Ready")["reason"] == "PodsWarm"
                with watching_pool(made) as late:
                    served = late.session()
                    served.wait_phase("Connected")
                    assert_unshared((early, played), (late, served))
                kube.until(
                    lambda: time.time() - began > WATCHED_S,
                    what="the time to pass in which pods are counted",
                    timeout_s=WATCHED_S,
                )
                counted = born.count - before
            assert_not_cut(early, since=began)
            made.wait(warm=2)
        kube.until(lambda: MISSING not in json.dumps(made.pods()), what="the end of bad pods")
        assert played.phase == "Connected"
    print(f"\nImagePullBackOff told after {told_s:.1f} s, {counted} pods in {WATCHED_S} s")
    # One at a time for the roll-out, and one in the place of the pod that was taken.
    assert counted <= 4
    wait_for_no_orphans()
