"""Hands that edit what is the operator's: status, Secrets, labels, owners, finalizers."""

import json
import time
from typing import Any

import pytest

from e2e import kube
from e2e.http import post_offer
from e2e.leftovers import births, orphans, wait_for_no_orphans
from e2e.pools import pool
from e2e.sessions import session
from e2e.viewers import assert_not_cut, assert_unshared, ball, watching_pool

PLAYS = {"circle": ball()}
LABELS = ("podstream.dev/pool", "podstream.dev/session", "app.kubernetes.io/managed-by")


def _patch(kind: str, name: str, body: dict[str, Any], *more: str) -> None:
    patch = f"--patch={json.dumps(body)}"
    kube.kubectl("patch", kind, name, "--type=merge", patch, *more)


def test_status_of_pool_and_session_written_over_by_hand_is_repaired() -> None:
    with pool(warm=1, max=2, template=PLAYS) as made:
        made.wait(warm=1)
        with watching_pool(made) as viewer:
            given = viewer.session()
            given.wait_phase("Connected")
            made.wait(warm=1, inUse=1)
            pod = given.status["pod"]
            began = time.time()
            _patch("strp", made.name, {"status": {"warm": 7, "inUse": 9}}, "--subresource=status")
            forged = {"phase": "Pending", "pod": {"name": "thief", "uid": "forged"}}
            _patch("strs", given.name, {"status": forged}, "--subresource=status")
            made.wait(warm=1, inUse=1)
            kube.until(
                lambda: given.phase == "Connected" and given.status["pod"]["uid"] == pod["uid"],
                what="the session's status as it was",
            )
            repaired_s = time.time() - began
            assert_not_cut(viewer, since=began - 1)
            assert len(made.sessions()) == 1
    print(f"\nstatus repaired after {repaired_s:.1f} s")
    wait_for_no_orphans()


def test_labels_taken_from_a_pod_in_use_change_nothing_for_its_stream() -> None:
    """Whose a pod is, its controller says."""
    with pool(warm=1, max=3, template=PLAYS) as made, watching_pool(made) as viewer:
        given = viewer.session()
        given.wait_phase("Connected")
        made.wait(warm=1, inUse=1)
        (pod,) = given.pods()
        began = time.time()
        _patch("pod", pod["metadata"]["name"], {"metadata": {"labels": dict.fromkeys(LABELS)}})
        with watching_pool(made) as other:
            second = other.session()
            second.wait_phase("Connected")
            assert_unshared((viewer, given), (other, second))
            assert given.phase == "Connected"
            assert given.status["pod"]["uid"] == pod["metadata"]["uid"]
            assert_not_cut(viewer, since=began)
    kube.until(
        lambda: kube.get("pod", pod["metadata"]["name"]) is None,
        what="the end of the pod with its session",
    )
    wait_for_no_orphans()


def test_foreign_finalizer_holds_its_own_object_only() -> None:
    """podstream sets none; one that somebody else sets delays that object and nothing more."""
    with pool(warm=1, max=3, template=PLAYS) as made:
        made.wait(warm=1)
        (idle,) = made.pods()
        name = idle["metadata"]["name"]
        _patch("pod", name, {"metadata": {"finalizers": ["example.com/hold"]}})
        try:
            with births(f"podstream.dev/pool={made.name}") as born:
                kube.delete("pod", name, wait=False)
                kube.until(
                    lambda: made.pods() and made.status.get("warm") == 1, what="its replacement"
                )
                with watching_pool(made) as viewer:
                    given = viewer.session()
                    given.wait_phase("Connected")
                    assert given.status["pod"]["name"] != name, "a pod that is going is not given"
                    made.wait(warm=1, inUse=1)
                assert born.count == 3
        finally:
            _patch("pod", name, {"metadata": {"finalizers": None}})
    with session(PLAYS, prefix="held") as held:
        held.wait_phase("Ready")
        _patch("strs", held.name, {"metadata": {"finalizers": ["example.com/hold"]}})
        kube.delete("strs", held.name, wait=False)
        kube.until(
            lambda: held.body["metadata"].get("deletionTimestamp"), what="the session's deletion"
        )
        assert [pod["metadata"]["name"] for pod in held.pods()], "it is there, and so is its pod"
        _patch("strs", held.name, {"metadata": {"finalizers": None}})
        kube.until(lambda: kube.get("strs", held.name) is None, what="the session's end")
    wait_for_no_orphans()


@pytest.mark.long
def test_pod_without_its_owner_ends_its_session_and_is_collected() -> None:
    """What `kubectl delete --cascade=orphan` leaves; found by the next regular list."""
    with pool(warm=1, max=2, template=PLAYS) as made, watching_pool(made) as viewer:
        given = viewer.session()
        given.wait_phase("Connected")
        (pod,) = given.pods()
        began = time.time()
        _patch("pod", pod["metadata"]["name"], {"metadata": {"ownerReferences": None}})
        given.wait_phase("Failed")
        failed_s = time.time() - began
        assert given.status["reason"] == "PodLost"
        wait_for_no_orphans(timeout_s=400)
        collected_s = time.time() - began
        made.wait(warm=1)
    print(f"\nFailed after {failed_s:.1f} s, the pod collected after {collected_s:.1f} s")


@pytest.mark.long
def test_deleted_secrets_of_pool_and_session_come_back() -> None:
    """Secrets are not watched (the operator may not list them): a GET a minute finds it."""
    template = {**PLAYS, "access": {"mode": "Token"}}
    with (
        pool(warm=1, max=2, template=template) as made,
        session(PLAYS, prefix="secret") as own,
    ):
        own.wait_phase("Ready")
        made.wait(warm=1)
        began = time.time()
        for owner in (own, made):
            kube.delete("secret", owner.status["access"]["secretName"])
        for owner in (own, made):
            name = owner.status["access"]["secretName"]
            kube.until(lambda name=name: kube.get("secret", name), what=name, timeout_s=150)  # type: ignore[misc]
        back_s = time.time() - began
        assert own.phase == "Ready"
        assert post_offer(own.endpoint(), token=own.token()).status == 201
        assert orphans() == []
    print(f"\nboth Secrets made again after {back_s:.1f} s")
    wait_for_no_orphans()
