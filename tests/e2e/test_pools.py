"""Pools on the real cluster: sessions that take warm pods, scaling, roll-out, limits, deletion."""

from typing import Any

import pytest

from e2e import kube
from e2e.pools import SMALL, Pool, pool
from e2e.sessions import circle, session


def refer(made: Pool, **more: Any) -> dict[str, Any]:
    """Spec of a session that takes a pod of the pool."""
    return {"circle": circle(), "pod": SMALL, "poolRef": {"name": made.name}, **more}


def test_a_session_takes_a_warm_pod_and_plays() -> None:
    with pool(warm=1) as made:
        made.wait(warm=1)
        (waiting,) = made.pods()
        with session(refer(made, client={"builtIn": True})) as taken:
            taken.wait_phase("Completed")
            assert taken.status["pod"]["uid"] == waiting["metadata"]["uid"]
            assert taken.status["pod"]["origin"] == "Warm"
            assert taken.status["connection"]["protocol"] == "WHEP"
            assert taken.circle["framesScored"] == 90
            assert taken.circle["rmsePx"] < 1
            (owner,) = taken.pods()[0]["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["name"]) == ("StreamSession", taken.name)
            made.wait(warm=1)


def test_max_holds_and_a_release_lets_the_next_one_in() -> None:
    with pool(warm=1, max=1) as made:
        made.wait(warm=1)
        with session(refer(made)) as second_to_come:
            second_to_come.wait_phase("Ready")
            with session(refer(made)) as waiting:
                kube.until(
                    lambda: waiting.condition("Ready").get("reason") == "PoolExhausted",
                    what="PoolExhausted",
                )
                assert made.condition("Ready")["reason"] == "PoolExhausted"
                kube.delete("strs", second_to_come.name)
                waiting.wait_phase("Ready", timeout_s=30)


def test_scaling_and_rolling_out_leave_a_session_in_use_alone() -> None:
    with pool(warm=1, max=4) as made:
        made.wait(warm=1)
        with session(refer(made)) as held:
            held.wait_phase("Ready")
            made.wait(warm=1, inUse=1)
            kube.kubectl("scale", f"streampool/{made.name}", "--replicas=2")
            made.wait(warm=2, inUse=1)
            made.patch({"template": {"spec": {"pod": {"labels": {"team": "b"}}}}})
            kube.until(
                lambda: (
                    len(made.pods()) == 2
                    and all(pod["metadata"]["labels"].get("team") == "b" for pod in made.pods())
                ),
                what="idle pods of the new template",
            )
            kube.kubectl("wait", f"strp/{made.name}", "--for=condition=RolledOut", "--timeout=30s")
            kube.kubectl("scale", f"streampool/{made.name}", "--replicas=0")
            kube.until(lambda: not made.pods(), what="no idle pods")
            assert held.phase == "Ready"
            assert held.pods()[0]["metadata"]["uid"] == held.status["pod"]["uid"]
    # The pool is gone by now.


def test_deleting_a_pool_leaves_its_sessions() -> None:
    with pool(warm=2, max=4) as made:
        made.wait(warm=2)
        with session(refer(made, access={"mode": "Token"})) as taken:
            taken.wait_phase("Ready")
            kube.delete("strp", made.name)
            kube.until(lambda: not made.pods(), what="no idle pods")
            played = taken.play()
            assert played.returncode == 0, played.stderr
            taken.wait_phase("Completed")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({"poolRef": {"name": "nowhere"}}, "PoolNotFound", id="missing"),
        pytest.param({"pod": {"labels": {"team": "x"}}}, "PoolTemplateMismatch", id="other-shape"),
    ],
)
def test_a_pool_that_does_not_fit_is_named(spec: dict[str, Any], reason: str) -> None:
    with pool(warm=0) as made, session({**refer(made), **spec}) as wrong:
        kube.until(lambda: wrong.condition("Ready").get("reason") == reason, what=reason)


def test_a_pod_that_cannot_start_is_explained_by_its_pool() -> None:
    with pool(warm=1, template={"pod": {"nodeSelector": {"no-such": "node"}}}) as made:
        kube.until(
            lambda: made.condition("Ready").get("reason") == "Unschedulable", what="Unschedulable"
        )
        assert "node" in made.condition("Ready")["message"]


def test_an_autoscaler_sets_the_warm_pods() -> None:
    with pool(warm=1, max=4) as made:
        made.wait(warm=1)
        autoscaler = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": made.name},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "podstream.dev/v1alpha1",
                    "kind": "StreamPool",
                    "name": made.name,
                },
                # Needs no metrics: what is below the minimum is raised to it.
                "minReplicas": 2,
                "maxReplicas": 4,
            },
        }
        kube.apply(autoscaler)
        try:
            made.wait(warm=2, timeout_s=60)
            found = kube.get("hpa", made.name)
            assert found is not None
            assert found["status"]["desiredReplicas"] == 2
        finally:
            kube.delete("hpa", made.name)
