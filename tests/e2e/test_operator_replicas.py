"""Several operators, one at work: what happens to sessions when the one that works goes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

import pytest

from e2e import audit, kube
from e2e.operators import DEPLOYMENT, leader, lease, operators, restarts
from e2e.processes import processes_of_pod
from e2e.sessions import Session, circle, session

CLEAN_S = 3.0
CRASHED_S = 20.0


def wait_for_another(than: str, *, within_s: float) -> float:
    """Seconds until another pod holds the Lease."""
    begun = time.monotonic()
    kube.until(lambda: leader() not in (None, than), what="another leader", timeout_s=within_s + 10)
    return time.monotonic() - begun


def settled() -> bool:
    pods = operators()
    return len(pods) == 2 and all(
        condition["status"] == "True"
        for pod in pods
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "Ready"
    )


@pytest.fixture(scope="module")
def _two() -> Iterator[None]:
    kube.kubectl("scale", DEPLOYMENT, "--replicas=2")
    try:
        kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=60s")
        yield
    finally:
        kube.kubectl("scale", DEPLOYMENT, "--replicas=1")
        kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=60s")


@pytest.fixture
def first(_two: None) -> str:
    """The pod that leads, with a follower beside it that is ready."""
    kube.until(settled, what="two operators that are ready")
    found = kube.until(leader, what="a leader")
    assert found is not None
    return found


@pytest.fixture
def frozen(first: str) -> Iterator[int]:
    """The leader's process, to be stopped by the test; it goes on afterwards."""
    (uid,) = {pod["metadata"]["uid"] for pod in operators() if pod["metadata"]["name"] == first}
    found = processes_of_pod(uid)
    if not found:
        pytest.skip("the pod's processes are not visible from this machine")
    yield found[0]
    with suppress(ProcessLookupError):
        os.kill(found[0], signal.SIGCONT)


def play(made: Session) -> None:
    """A client plays the whole session; the result is complete."""
    with made.playing("--duration", "60"):
        made.wait_phase("Completed", timeout_s=90)


def assert_complete(made: Session, *, frames: int) -> None:
    assert made.circle["framesScored"] == frames
    assert made.circle["rmsePx"] < 2
    assert made.status["results"]["final"] is True


def ready_at(made: Session) -> datetime:
    return datetime.fromisoformat(made.status["timeline"]["readyAt"])


def test_deleted_leader_is_followed_while_a_session_plays(first: str) -> None:
    """`kubectl delete pod`: the Lease is released, the follower takes over at its next look."""
    with session({"circle": circle(frames=450)}, prefix="handover") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            made.wait_phase("Connected")
            kube.kubectl("delete", "pod", first, "--wait=false")
            took_s = wait_for_another(first, within_s=CLEAN_S)
            with session({"circle": circle(frames=60)}, prefix="meanwhile") as late:
                late.wait_phase("Ready")
                play(late)
                assert_complete(late, frames=60)
            made.wait_phase("Completed", timeout_s=90)
        assert_complete(made, frames=450)
    print(f"\nclean handover: {took_s:.1f} s")
    assert took_s <= CLEAN_S


def test_forcibly_deleted_leader_is_followed(first: str) -> None:
    with session({"circle": circle(frames=450)}, prefix="forced") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            made.wait_phase("Connected")
            kube.kubectl("delete", "pod", first, "--grace-period=0", "--force")
            with session({"circle": circle(frames=0)}, prefix="meanwhile") as late:
                took_s = wait_for_another(first, within_s=CRASHED_S)
                late.wait_phase("Ready")
            made.wait_phase("Completed", timeout_s=90)
        assert_complete(made, frames=450)
    print(f"\nforced handover: {took_s:.1f} s")
    assert took_s <= CRASHED_S


def test_killed_process_comes_back_in_its_pod_at_once(first: str, frozen: int) -> None:
    """SIGKILL: the Lease is not released, but its holder's pod may go on with it."""
    before = lease()["leaseTransitions"]
    with session({"circle": circle(frames=450)}, prefix="killed") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            made.wait_phase("Connected")
            os.kill(frozen, signal.SIGKILL)
            renewed = lease()["renewTime"]
            begun = time.monotonic()
            with session({"circle": circle(frames=0)}, prefix="meanwhile") as late:
                kube.until(lambda: lease()["renewTime"] > renewed, what="a renewal")
                took_s = time.monotonic() - begun
                late.wait_phase("Ready")
            made.wait_phase("Completed", timeout_s=90)
        assert_complete(made, frames=450)
    print(f"\nkilled leader goes on: {took_s:.1f} s")
    assert took_s <= CRASHED_S
    assert leader() == first
    assert lease()["leaseTransitions"] == before


@pytest.mark.skipif(audit.LOG is None, reason="this cluster's audit log is not readable from here")
def test_frozen_leader_is_replaced_and_never_writes_again(first: str, frozen: int) -> None:
    """A process that is stopped and goes on (a node under pressure, a machine that slept)."""
    count = restarts()[first]
    with session({"circle": circle(frames=900)}, prefix="frozen") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "90"):
            made.wait_phase("Connected")
            os.kill(frozen, signal.SIGSTOP)
            with session({"circle": circle(frames=0)}, prefix="meanwhile") as late:
                took_s = wait_for_another(first, within_s=CRASHED_S)
                taken_at = datetime.fromisoformat(lease()["acquireTime"])
                os.kill(frozen, signal.SIGCONT)
                late.wait_phase("Ready")
                assert ready_at(late) >= taken_at
            kube.until(lambda: restarts().get(first, 0) > count, what="the old leader's restart")
            made.wait_phase("Completed", timeout_s=90)
        assert_complete(made, frames=900)
    print(f"\ntakeover from a frozen leader: {took_s:.1f} s")
    assert took_s <= CRASHED_S
    assert leader() != first
    log = kube.kubectl("logs", first, "--previous")
    assert "operator ends: the Lease" in log
    writers = writers_since(taken_at)
    assert writers, "the audit log shows no write at all"
    assert first not in writers


def writers_since(moment: datetime) -> set[str]:
    """Pods of the operator that have written anything but Leases since a moment."""
    return {
        write.pod
        for write in audit.writes()
        if write.account == "podstream-operator"
        and write.resource != "leases"
        and write.code < 300
        and write.at >= moment
    }


def test_rolling_restart_loses_nothing(first: str) -> None:
    old = {pod["metadata"]["name"] for pod in operators()}
    with session({"circle": circle(frames=450)}, prefix="rollout") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            made.wait_phase("Connected")
            kube.kubectl("rollout", "restart", DEPLOYMENT)
            with session({"circle": circle(frames=0)}, prefix="meanwhile") as late:
                late.wait_phase("Ready")
                kube.kubectl("rollout", "status", DEPLOYMENT, "--timeout=90s")
                assert late.phase == "Ready"
            made.wait_phase("Completed", timeout_s=90)
        assert_complete(made, frames=450)
    kube.until(lambda: leader() not in {None, *old}, what="a leader of the new revision")
